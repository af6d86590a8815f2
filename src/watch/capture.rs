//! `calmline capture`: the packets of one call, written to a file as they come.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::json;
use tokio::time::timeout;

use crate::api;
use crate::cli::{CaptureArgs, Failure};
use crate::hexadecimal::escaped;

/// How long opening may take.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// How much later than asked for the server may end.
const LATE: Duration = Duration::from_secs(30);

/// Runs `calmline capture`.
///
/// # Errors
/// When the server refuses or goes away, or the file cannot be written.
pub(crate) fn run(args: &CaptureArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of("starting the runtime", error))?;
    runtime.block_on(write(args))
}

async fn write(args: &CaptureArgs) -> Result<(), Failure> {
    let mut answer = open(args).await?;
    let depth = answer.headers().get("x-calmline-capture").and_then(|depth| depth.to_str().ok());
    let depth = depth.unwrap_or("unknown").to_owned();
    let mut out = opened(&args.out).map_err(|error| Failure::of(args.out.display(), error))?;
    let within = Duration::from_secs(args.seconds.into()) + LATE;
    let mut octets = 0;
    let copying = async {
        while let Some(piece) = answer.chunk().await.map_err(|error| Failure::of("the capture", api::told(&error)))? {
            out.write_all(&piece).and_then(|()| out.flush()).map_err(|error| Failure::of(args.out.display(), error))?;
            octets += piece.len();
        }
        Ok(())
    };
    timeout(within, copying).await.unwrap_or_else(|_| Err(Failure::Failed("the capture does not end".to_owned())))?;
    // Standard output may be the file.
    let _ = writeln!(io::stderr(), "calmline: {octets} bytes, {depth} of RTP");
    Ok(())
}

async fn open(args: &CaptureArgs) -> Result<Response, Failure> {
    let path = format!("/v1/calls/{}/capture", escaped(&args.call));
    let client = api::client(&args.server, None)?;
    let body = json!({ "reason": args.reason, "seconds": args.seconds, "bytes": args.bytes, "headers": args.headers });
    let request = api::request(&client, &args.server, Method::POST, &path)?
        .header("content-type", "application/json")
        .body(body.to_string());
    let answer = match timeout(OPEN_WITHIN, request.send()).await {
        Ok(answer) => answer.map_err(|error| Failure::of(&path, api::told(&error)))?,
        Err(_) => return Err(Failure::of(&path, "no answer")),
    };
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let text = timeout(OPEN_WITHIN, answer.text()).await.ok().and_then(Result::ok).unwrap_or_default();
    Err(Failure::of(&path, format!("{status}: {text}")))
}

/// The file, for its owner's eyes alone: what is said in calls may be in it.
fn opened(path: &Path) -> io::Result<Box<dyn Write>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdout()));
    }
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(Box::new(file))
}
