//! The body of an answer in pieces, each sealed with its place, so that none is left out, put in or exchanged on the way.
//!
//! Whoever takes them says so every few: one that takes nothing, or is gone, is sent no more. A stream that has nothing to say says
//! that it is there.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::shell::nats::{Carrier, Following};
use crate::store::Store;

/// The longest piece, octets.
const PIECE_BYTES_MAX: usize = 64 << 10;
/// Pieces that are on their way or wait: a third of a second of live audio.
const AHEAD_MAX: u64 = 16;
/// How many are taken until that is said.
const SAID_EVERY: u64 = 4;
/// How long whoever takes them may take none.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);
/// When a stream that has nothing to say says that it is there; and when it is given up.
const HERE_EVERY: Duration = Duration::from_secs(5);
const SILENT_MAX: Duration = Duration::from_secs(20);
/// What is said by whoever wants no more.
const NO_MORE: &[u8] = b"no more";

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Body = 0,
    /// Nothing, for now.
    Here = 1,
    /// It is over.
    End = 2,
}

/// Sends a body, whose request has that id, to a place; `taken` says what has been taken of it.
pub(super) async fn send(
    (carrier, store): (&Carrier, &Store),
    (id, place): (String, String),
    body: Body,
    mut taken: Following,
) {
    let mut body = body.into_data_stream();
    let (mut number, mut room) = (0, AHEAD_MAX);
    loop {
        let (kind, octets) = match timeout(HERE_EVERY, body.next()).await {
            Ok(Some(Ok(octets))) => (Kind::Body, octets),
            Ok(None) => (Kind::End, Bytes::new()),
            // Without its end it is not whole, which is noticed there.
            Ok(Some(Err(_))) => return,
            Err(_) => (Kind::Here, Bytes::new()),
        };
        let mut pieces: Vec<&[u8]> = octets.chunks(PIECE_BYTES_MAX).collect();
        if pieces.is_empty() {
            pieces.push(&[]);
        }
        for piece in pieces {
            while room == 0 {
                match timeout(TAKEN_WITHIN, taken.next()).await {
                    Ok(Some(said)) if &*said != NO_MORE => room += SAID_EVERY,
                    Ok(_) | Err(_) => return,
                }
            }
            let plain = [&[kind as u8][..], piece].concat();
            let Ok(sealed) = store.seal_between(&context(&id, number), &plain) else { return };
            if carrier.say(place.clone(), sealed).await.is_err() {
                return;
            }
            (number, room) = (number + 1, room - 1);
        }
        if kind == Kind::End {
            return;
        }
    }
}

/// What is sent of the answer to the request of that id. `place` is where it is said what has been taken.
pub(super) fn received(
    carrier: Carrier,
    store: Store,
    (id, place): (String, String),
    following: Following,
) -> impl Stream<Item = Result<Bytes, String>> + Send + 'static {
    let (pieces, inlet) = mpsc::channel(1);
    tokio::spawn(async move {
        let outcome = pass_on((&carrier, &store), (&id, &place), following, &pieces).await;
        // It has ended there by itself, or is ended by this.
        let _ = carrier.say(place, NO_MORE.to_vec()).await;
        if let Err(why) = outcome {
            let _ = pieces.send(Err(why)).await;
        }
    });
    futures::stream::unfold(inlet, async |mut inlet| Some((inlet.recv().await?, inlet)))
}

async fn pass_on(
    (carrier, store): (&Carrier, &Store),
    (id, place): (&str, &str),
    mut following: Following,
    pieces: &mpsc::Sender<Result<Bytes, String>>,
) -> Result<(), String> {
    let mut number = 0;
    loop {
        let next = tokio::select! {
            () = pieces.closed() => return Ok(()),
            next = timeout(SILENT_MAX, following.next()) => next,
        };
        let sealed = next.map_err(|_| "the other node is not heard of any more")?.ok_or("the bus is closed")?;
        let plain = store.open_between(&context(id, number), &sealed)?;
        number += 1;
        let (kind, octets) = plain.split_first().ok_or("an empty piece")?;
        if *kind == Kind::End as u8 {
            return Ok(());
        }
        if *kind == Kind::Body as u8 && pieces.send(Ok(Bytes::copy_from_slice(octets))).await.is_err() {
            return Ok(());
        }
        if number % SAID_EVERY == 0 {
            carrier.say(place.to_owned(), number.to_string().into_bytes()).await?;
        }
    }
}

fn context(id: &str, number: u64) -> String {
    format!("piece {number} of {id}")
}
