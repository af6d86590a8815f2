//! Asks a running server over its API.

mod door;

use std::time::Duration;

use reqwest::{Certificate, Client, Method, RequestBuilder, Response, Url};
use serde_json::Value;

use crate::cli::{Failure, ServerArgs};
use crate::settings::TokenSource;
pub use door::Door;

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Where servers are asked unless something else is said.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// What says something else.
const URL_VARIABLE: &str = "CALMLINE_URL";

/// What is at an address of the API.
pub(crate) fn get(server: &ServerArgs, path: &str) -> Result<Value, Failure> {
    ask(server, Method::GET, path, None)
}

/// Takes something away.
pub(crate) fn delete(server: &ServerArgs, path: &str) -> Result<Value, Failure> {
    ask(server, Method::DELETE, path, None)
}

/// Orders something without a body.
pub(crate) fn post(server: &ServerArgs, path: &str) -> Result<Value, Failure> {
    ask(server, Method::POST, path, None)
}

/// Something to send, with all that is said of it.
pub(crate) struct Parcel<'a> {
    /// Where to.
    pub(crate) path: &'a str,
    /// What stands behind the path; what is not said is left out.
    pub(crate) query: Vec<(&'a str, Option<String>)>,
    /// What stands in front of the body; the first of them is what it is.
    pub(crate) headers: Vec<(&'a str, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// How long it may take.
    pub(crate) within: Duration,
}

/// Asks for something, with a body where there is one, and reads the answer.
///
/// # Errors
/// When the server cannot be asked, refuses, or answers anything but JSON.
pub(crate) fn ask(server: &ServerArgs, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let request = request(&client(server, Some(ANSWER_WITHIN))?, server, method, path)?;
    let (status, told) = answered(
        path,
        match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request.header("content-length", "0"),
        },
    )?;
    if !(200..300).contains(&status) {
        return Err(Failure::of(path, format!("{status}: {told}")));
    }
    Ok(told)
}

/// Sends something; the status, and what the server says, whatever that is.
///
/// # Errors
/// When the server cannot be asked, or answers anything but JSON.
pub(crate) fn send(server: &ServerArgs, parcel: Parcel<'_>) -> Result<(u16, Value), Failure> {
    let Parcel { path, query, headers, body, within } = parcel;
    let query: Vec<_> = query.iter().map(|(key, value)| (*key, value.as_deref())).collect();
    let to = with_query(path, &query);
    let request = request(&client(server, Some(within))?, server, Method::POST, &to)?.body(body);
    answered(path, headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)))
}

/// What is at an address of the API; the status, and what the server says, whatever that is.
///
/// # Errors
/// As [`send`].
pub(crate) fn look(server: &ServerArgs, path: &str) -> Result<(u16, Value), Failure> {
    answered(path, request(&client(server, Some(ANSWER_WITHIN))?, server, Method::GET, path)?)
}

/// The status, and what the answer says.
fn answered(path: &str, request: RequestBuilder) -> Result<(u16, Value), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of("starting the runtime", error))?;
    runtime.block_on(async {
        let answer = request.send().await.map_err(|error| Failure::of(path, told(&error)))?;
        read(path, answer).await
    })
}

/// A client that believes the system's authorities, and those that are named.
///
/// # Errors
/// When those cannot be read.
pub(crate) fn client(server: &ServerArgs, answered_within: Option<Duration>) -> Result<Client, Failure> {
    let mut client = Client::builder();
    if let Some(within) = answered_within {
        client = client.timeout(within);
    }
    if let Some(file) = &server.authorities {
        let failed = |error: &dyn std::fmt::Display| Failure::of(file.display(), error);
        let pem = std::fs::read(file).map_err(|error| failed(&error))?;
        for certificate in Certificate::from_pem_bundle(&pem).map_err(|error| failed(&error))? {
            client = client.add_root_certificate(certificate);
        }
    }
    client.build().map_err(|error| Failure::of("setting up the client", error))
}

/// A request with the token.
///
/// # Errors
/// When there is none.
pub(crate) fn request(
    client: &Client,
    server: &ServerArgs,
    method: Method,
    path: &str,
) -> Result<RequestBuilder, Failure> {
    let source = match &server.token_file {
        Some(file) => TokenSource::File(file.clone()),
        None => TokenSource::Variable(server.token_env.clone()),
    };
    let token = source.fetch().map_err(|error| Failure::of("the API's token", error))?;
    let url = server.url.clone().or_else(|| std::env::var(URL_VARIABLE).ok()).unwrap_or_else(|| DEFAULT_URL.to_owned());
    Ok(client.request(method, format!("{}{path}", url.trim_end_matches('/'))).bearer_auth(token.reveal()))
}

/// An address with what is asked for; what is not said is left out.
pub(crate) fn with_query(path: &str, query: &[(&str, Option<&str>)]) -> String {
    // Any place at all, for what is behind it.
    let mut url = Url::parse(DEFAULT_URL).expect("an address");
    url.set_path(path);
    for (key, value) in query.iter().filter_map(|(key, value)| Some((key, (*value)?))) {
        url.query_pairs_mut().append_pair(key, value);
    }
    url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

/// What went wrong, with why.
pub(crate) fn told(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}

async fn read(url: &str, answer: Response) -> Result<(u16, Value), Failure> {
    let status = answer.status();
    let text = answer.text().await.map_err(|error| Failure::of(url, error))?;
    match serde_json::from_str(&text) {
        Ok(told) => Ok((status.as_u16(), told)),
        // What stands before the server may refuse in words of its own.
        Err(_) if !status.is_success() => Err(Failure::of(url, format!("{status}: {text}"))),
        Err(error) => Err(Failure::of(url, format!("expected JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_what_is_asked_for() {
        let query = [("state", Some("active")), ("before", None), ("type", Some("alert,call_ended"))];
        assert_eq!(with_query("/v1/calls", &query), "/v1/calls?state=active&type=alert%2Ccall_ended");
        assert_eq!(with_query("/v1/calls", &[("before", None)]), "/v1/calls");
    }
}
