//! `calmline tail`: events as they happen, over Server-Sent Events. Comes back where it was cut off.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use eventsource_stream::{Event, Eventsource};
use futures::{Stream, StreamExt};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::table::plain;
use crate::api;
use crate::cli::{Failure, TailArgs, print_line};

/// How long opening may take.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// The server says every 15 s that it is there; one that says nothing for so long is away.
const SILENT_MAX: Duration = Duration::from_secs(40);
/// The pause before the first try to come back; it doubles with every further one.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Why there are no events.
enum Cut {
    /// They are refused: to try again is of no use.
    Refused(Failure),
    /// The server is away.
    Away(String),
    /// As many have come as were asked for.
    Done,
}

/// Where the events have got to.
struct Place {
    after: Option<u64>,
    left: Option<u64>,
    pause: Duration,
}

/// Runs `calmline tail`.
///
/// # Errors
/// When the server refuses, or nobody reads what is printed.
pub(crate) fn run(args: &TailArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of("starting the runtime", error))?;
    runtime.block_on(follow(args))
}

async fn follow(args: &TailArgs) -> Result<(), Failure> {
    let client = api::client(&args.server, None)?;
    let mut place = Place { after: args.after, left: args.count, pause: PAUSE };
    loop {
        match serve(&client, args, &mut place).await {
            Cut::Done => return Ok(()),
            Cut::Refused(failure) => return Err(failure),
            Cut::Away(why) => {
                let seconds = place.pause.as_secs();
                // Without standard error nobody is told, and the events go on.
                let _ = writeln!(io::stderr(), "calmline: {why}: trying again in {seconds} s");
                sleep(place.pause).await;
                place.pause = (place.pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Prints events until they are cut off.
async fn serve(client: &Client, args: &TailArgs, place: &mut Place) -> Cut {
    let answer = match open(client, args, place.after).await {
        Ok(answer) => answer,
        Err(cut) => return cut,
    };
    place.pause = PAUSE;
    let mut events = Box::pin(chunks(answer).eventsource());
    loop {
        match events.next().await {
            Some(Ok(event)) => match take(&event, args.json, place) {
                Ok(true) => return Cut::Done,
                Ok(false) => {}
                Err(failure) => return Cut::Refused(failure),
            },
            Some(Err(error)) => return Cut::Away(error.to_string()),
            None => return Cut::Away("the server has ended the events".to_owned()),
        }
    }
}

async fn open(client: &Client, args: &TailArgs, after: Option<u64>) -> Result<Response, Cut> {
    let after = after.map(|after| after.to_string());
    let query = [("call", args.call.as_deref()), ("type", args.types.as_deref()), ("after", after.as_deref())];
    let path = api::with_query("/v1/events", &query);
    let request = api::request(client, &args.server, Method::GET, &path).map_err(Cut::Refused)?;
    let sent = timeout(OPEN_WITHIN, request.header("accept", "text/event-stream").send()).await;
    let answer = match sent {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(Cut::Away(api::told(&error))),
        Err(_) => return Err(Cut::Away("no answer".to_owned())),
    };
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let text = timeout(OPEN_WITHIN, answer.text()).await.ok().and_then(Result::ok).unwrap_or_default();
    let why = format!("{path}: {status}: {text}");
    // Whoever asks wrongly, or may not, will not do better in a moment.
    match status.is_client_error() && status.as_u16() != 429 {
        true => Err(Cut::Refused(Failure::Failed(why))),
        false => Err(Cut::Away(why)),
    }
}

/// What comes, until it ends or nothing comes any more.
fn chunks(answer: Response) -> impl Stream<Item = Result<Bytes, String>> {
    futures::stream::unfold(Some(answer), async |answer| {
        let mut answer = answer?;
        match timeout(SILENT_MAX, answer.chunk()).await {
            Ok(Ok(Some(bytes))) => Some((Ok(bytes), Some(answer))),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some((Err(error.to_string()), None)),
            Err(_) => Some((Err("nothing has come for long".to_owned()), None)),
        }
    })
}

/// Prints an event; true when it was the last that was asked for.
fn take(event: &Event, json: bool, place: &mut Place) -> Result<bool, Failure> {
    if event.event == "lagged" {
        let told: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let missed = told["missed"].as_u64().map_or_else(|| "some".to_owned(), |missed| missed.to_string());
        // As above.
        let _ = writeln!(io::stderr(), "calmline: {missed} events were missed");
        return Ok(false);
    }
    place.after = event.id.parse().ok().or(place.after);
    match json {
        true => print_line(&event.data)?,
        false => print_line(words(&event.data))?,
    }
    place.left = place.left.map(|left| left.saturating_sub(1));
    Ok(place.left == Some(0))
}

/// An event on one line: when, of which call, what, and what is said of it.
fn words(data: &str) -> String {
    let Ok(Value::Object(event)) = serde_json::from_str(data) else { return plain(data) };
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or("-");
    let mut line = format!("{} {} {}", text("time"), text("call"), text("type"));
    let head = ["seq", "time", "call", "call_ms", "type"];
    for (key, value) in event.iter().filter(|(key, value)| !head.contains(&key.as_str()) && !value.is_null()) {
        match value {
            // In quotes, as JSON has it, where it would not be one word.
            Value::String(word) if is_word(word) => line += &format!(" {key}={word}"),
            value => line += &format!(" {key}={value}"),
        }
    }
    plain(&line)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|letter: char| letter.is_whitespace() || letter == '"' || letter == '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let data = r#"{"seq":7,"time":"2026-11-26T08:00:00.000Z","call":"call-1","call_ms":14000,"type":"alert","severity":"critical","text":"angry\ncaller","rule":"angry","pbx_call":null}"#;
        let expected = r#"2026-11-26T08:00:00.000Z call-1 alert severity=critical text="angry\ncaller" rule=angry"#;
        let mut found: Vec<String> = words(data).split(' ').map(str::to_owned).collect();
        let mut wanted: Vec<String> = expected.split(' ').map(str::to_owned).collect();
        // JSON's objects have no order.
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
        assert_eq!(words("no JSON\u{1b}"), "no JSON");
    }

    #[test]
    fn it_knows_where_it_is_and_when_it_has_enough() {
        let event = |id: &str, kind: &str| Event {
            event: kind.to_owned(),
            data: "{}".to_owned(),
            id: id.to_owned(),
            retry: None,
        };
        let mut place = Place { after: None, left: Some(2), pause: PAUSE };
        for (id, kind, after, done) in
            [("7", "alert", Some(7), false), ("", "lagged", Some(7), false), ("9", "alert", Some(9), true)]
        {
            assert_eq!(take(&event(id, kind), true, &mut place).expect("somebody reads"), done);
            assert_eq!(place.after, after);
        }
    }
}
