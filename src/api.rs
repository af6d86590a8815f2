//! Asks a running server over its API.

mod door;

use std::time::Duration;

use reqwest::{Client, Method, Response};
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

fn ask(server: &ServerArgs, method: Method, path: &str) -> Result<Value, Failure> {
    let token = std::env::var(&server.token_env).map_err(|error| {
        Failure::of(format!("the API's token in the environment variable {}", server.token_env), error)
    })?;
    let url = format!("{}{path}", server.url.trim_end_matches('/'));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of("starting the runtime", error))?;
    runtime.block_on(async {
        let client = Client::builder().timeout(ANSWER_WITHIN).build();
        let client = client.map_err(|error| Failure::of("setting up the client", error))?;
        let answer = client.request(method, &url).bearer_auth(token).header("content-length", "0").send().await;
        read(&url, answer.map_err(|error| Failure::of(&url, error))?).await
    })
}

async fn read(url: &str, answer: Response) -> Result<Value, Failure> {
    let status = answer.status();
    let text = answer.text().await.map_err(|error| Failure::of(url, error))?;
    if !status.is_success() {
        return Err(Failure::of(url, format!("{status}: {text}")));
    }
    serde_json::from_str(&text).map_err(|error| Failure::of(url, format!("expected JSON: {error}")))
}
