//! Asks a running server over its API.

mod door;

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use crate::cli::{Failure, ServerArgs};
pub use door::Door;

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What is at an address of the API.
pub(crate) fn get(server: &ServerArgs, path: &str) -> Result<Value, Failure> {
    ask(server, Method::GET, path)
}

/// Takes something away.
pub(crate) fn delete(server: &ServerArgs, path: &str) -> Result<Value, Failure> {
    ask(server, Method::DELETE, path)
}

/// Orders something without a body.
pub(crate) fn post(server: &ServerArgs, path: &str) -> Result<Value, Failure> {
    ask(server, Method::POST, path)
}

/// Something to send, with all that is said of it.
pub(crate) struct Parcel<'a> {
    /// Where to.
    pub(crate) path: &'a str,
    /// What stands behind the path.
    pub(crate) query: Vec<(&'a str, String)>,
    /// What stands in front of the body; the first of them is what it is.
    pub(crate) headers: Vec<(&'a str, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// How long it may take.
    pub(crate) within: Duration,
}

/// Sends something; the status, and what the server says, whatever that is.
pub(crate) fn send(server: &ServerArgs, parcel: Parcel<'_>) -> Result<(u16, Value), Failure> {
    let Parcel { path, query, headers, body, within } = parcel;
    request(server, path, within, |client, url| {
        let request = client.post(url).query(&query).body(body);
        headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    })
}

fn ask(server: &ServerArgs, method: Method, path: &str) -> Result<Value, Failure> {
    let prepare = |client: &Client, url: &str| client.request(method, url).header("content-length", "0");
    let (status, told) = request(server, path, ANSWER_WITHIN, prepare)?;
    if !(200..300).contains(&status) {
        return Err(Failure::of(format!("{}{path}", server.url.trim_end_matches('/')), format!("{status}: {told}")));
    }
    Ok(told)
}

/// One request; the status, and what the answer says.
fn request(
    server: &ServerArgs,
    path: &str,
    within: Duration,
    prepare: impl FnOnce(&Client, &str) -> RequestBuilder,
) -> Result<(u16, Value), Failure> {
    let token = std::env::var(&server.token_env).map_err(|error| {
        Failure::of(format!("the API's token in the environment variable {}", server.token_env), error)
    })?;
    let url = format!("{}{path}", server.url.trim_end_matches('/'));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of("starting the runtime", error))?;
    runtime.block_on(async {
        let client = Client::builder().timeout(within).build();
        let client = client.map_err(|error| Failure::of("setting up the client", error))?;
        let answer = prepare(&client, &url).bearer_auth(token).send().await;
        read(&url, answer.map_err(|error| Failure::of(&url, error))?).await
    })
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
