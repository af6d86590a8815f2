//! What one address asks for and answers, as the document tells it.
//!
//! Says what differs from address to address; what all have in common, the document adds.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{Content, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{IntoParams, ToSchema};

use super::super::problem::ProblemBody;

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

type Named = (String, RefOr<Schema>);

/// What one address is for.
#[derive(Default)]
pub(in crate::web) struct Description {
    summary: &'static str,
    parameters: Vec<Parameter>,
    numbers: Vec<&'static str>,
    body: Option<RequestBody>,
    answers: BTreeMap<u16, Response>,
    refusals: Vec<StatusCode>,
    schemas: Vec<Named>,
}

/// The description of an address, begun with what it does.
pub(in crate::web) fn describe(summary: &'static str) -> Description {
    Description { summary, ..Description::default() }
}

impl Description {
    /// What may stand after the `?`.
    pub(in crate::web) fn query<T: IntoParams>(mut self) -> Self {
        self.parameters.extend(T::into_params(|| Some(ParameterIn::Query)));
        self.refuses(&[StatusCode::BAD_REQUEST])
    }

    /// A header that may come with the request.
    pub(in crate::web) fn header(mut self, name: &str, what: &str) -> Self {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::False);
        self.parameters.push(header.description(Some(what)).schema(Some(text)).build());
        self
    }

    /// A part of the path that is a number.
    pub(in crate::web) fn number(mut self, name: &'static str) -> Self {
        self.numbers.push(name);
        self.refuses(&[StatusCode::BAD_REQUEST])
    }

    /// The JSON that comes with the request.
    pub(in crate::web) fn body<T: ToSchema>(self) -> Self {
        self.takes::<T>(Required::True)
    }

    /// The JSON that may come with the request.
    pub(in crate::web) fn body_or_none<T: ToSchema>(self) -> Self {
        self.takes::<T>(Required::False)
    }

    /// What comes with the request that is no JSON.
    pub(in crate::web) fn body_as(mut self, kind: &str) -> Self {
        let content = Content::new(Some(Object::with_type(Type::String)));
        self.body = Some(RequestBodyBuilder::new().content(kind, content).required(Some(Required::True)).build());
        self.refuses(&[StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE])
    }

    fn takes<T: ToSchema>(mut self, required: Required) -> Self {
        let content = Content::new(Some(self.reference::<T>()));
        self.body = Some(RequestBodyBuilder::new().content(JSON, content).required(Some(required)).build());
        self.refuses(&[
            StatusCode::BAD_REQUEST,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            StatusCode::UNPROCESSABLE_ENTITY,
        ])
    }

    /// What comes when all is well, as JSON.
    pub(in crate::web) fn answers<T: ToSchema>(mut self, status: StatusCode, what: &str) -> Self {
        let content = Content::new(Some(self.reference::<T>()));
        let response = ResponseBuilder::new().description(what).content(JSON, content).build();
        self.answers.insert(status.as_u16(), response);
        self
    }

    /// What comes when all is well, as something else than JSON.
    pub(in crate::web) fn answers_as(mut self, status: StatusCode, kind: &str, what: &str) -> Self {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let response = ResponseBuilder::new().description(what).content(kind, Content::new(Some(text))).build();
        self.answers.insert(status.as_u16(), response);
        self
    }

    /// What comes when all is well, one shape after the other.
    pub(in crate::web) fn answers_stream<T: ToSchema>(mut self, status: StatusCode, kind: &str, what: &str) -> Self {
        let content = Content::new(Some(self.reference::<T>()));
        let response = ResponseBuilder::new().description(what).content(kind, content).build();
        self.answers.insert(status.as_u16(), response);
        self
    }

    /// What comes when all is well, without a body.
    pub(in crate::web) fn answers_empty(mut self, status: StatusCode, what: &str) -> Self {
        self.answers.insert(status.as_u16(), Response::new(what));
        self
    }

    /// A header that comes with the good answers.
    pub(in crate::web) fn answer_header(mut self, name: &str, what: &str) -> Self {
        for answer in self.answers.values_mut() {
            let text = Object::with_type(Type::String);
            let mut header = Header::new(text);
            header.description = Some(what.to_owned());
            answer.headers.insert(name.to_owned(), header.into());
        }
        self
    }

    /// What is asked for once more: by the name of the answer that is known, where answers have one.
    pub(super) fn conditional(mut self) -> Self {
        const IF_NONE_MATCH: &str = "if-none-match";
        let has_name = |answer: &Response| answer.content.contains_key(JSON) || answer.headers.contains_key("etag");
        if !self.answers.get(&StatusCode::OK.as_u16()).is_some_and(has_name) {
            return self;
        }
        if !self.parameters.iter().any(|parameter| parameter.name == IF_NONE_MATCH) {
            self = self.header(IF_NONE_MATCH, "The `ETag` of the answer that is known");
        }
        self.answers_empty(StatusCode::NOT_MODIFIED, "It is the one that is known")
            .answer_header("etag", "What the answer is known by")
    }

    /// Why else it may be refused, besides what all are refused for.
    pub(in crate::web) fn refuses(mut self, statuses: &[StatusCode]) -> Self {
        self.refusals.extend_from_slice(statuses);
        self
    }

    /// As it stands in the document; the shapes it refers to are put down beside.
    pub(super) fn operation(mut self, method: &Method, path: &str, schemas: &mut Vec<Named>) -> OperationBuilder {
        let mut operation = OperationBuilder::new().summary(Some(self.summary)).operation_id(Some(id_of(method, path)));
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            operation = operation.parameter(in_path(name, self.numbers.contains(&name)));
        }
        for parameter in std::mem::take(&mut self.parameters) {
            operation = operation.parameter(parameter);
        }
        for (status, answer) in std::mem::take(&mut self.answers) {
            operation = operation.response(status.to_string(), answer);
        }
        self.refusals.sort_unstable();
        self.refusals.dedup();
        for status in &self.refusals {
            operation = operation.response(status.as_str(), refusal(*status));
        }
        schemas.append(&mut self.schemas);
        operation.request_body(self.body)
    }

    /// Puts a shape down and refers to it.
    fn reference<T: ToSchema>(&mut self) -> Ref {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(T::name())
    }
}

/// An error, as all are told.
pub(super) fn refusal(status: StatusCode) -> Response {
    let content = Content::new(Some(Ref::from_schema_name(ProblemBody::name())));
    ResponseBuilder::new().description(status.canonical_reason().unwrap_or_default()).content(PROBLEM, content).build()
}

/// What an operation is called: its method and the words of its path.
fn id_of(method: &Method, path: &str) -> String {
    let words = path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty() && *word != "v1");
    std::iter::once(method.as_str().to_ascii_lowercase()).chain(words.map(str::to_owned)).collect::<Vec<_>>().join("_")
}

fn in_path(name: &str, is_number: bool) -> Parameter {
    let schema = match (is_number, name) {
        (true, _) => ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)),
        (false, "date") => {
            let format = SchemaFormat::KnownFormat(KnownFormat::Date);
            ObjectBuilder::new().schema_type(Type::String).format(Some(format))
        }
        (false, _) => ObjectBuilder::new().schema_type(Type::String),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema.build()))
        .build()
}
