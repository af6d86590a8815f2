//! `calmline deliveries`: what systems outside are still to be told of, asked of a running server.

use serde_json::Value;

use crate::api;
use crate::cli::{DeliveriesCommand, Failure, ServerArgs, print_line};

/// Runs `calmline deliveries`.
///
/// # Errors
/// When the server cannot be asked, or does not do it.
pub(crate) fn run(command: &DeliveriesCommand) -> Result<(), Failure> {
    match command {
        DeliveriesCommand::List(args) => list(args.set_aside, &args.server),
        DeliveriesCommand::Retry(args) => {
            api::post(&args.server, &format!("/v1/deliveries/{}/retry", args.id))?;
            print_line(format_args!("{} is tried again", args.id))
        }
        DeliveriesCommand::Drop(args) => {
            api::delete(&args.server, &format!("/v1/deliveries/{}", args.id))?;
            print_line(format_args!("{} is forgotten", args.id))
        }
    }
}

fn list(set_aside: bool, server: &ServerArgs) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let query = [("state", set_aside.then_some("set_aside")), ("after", after.as_deref())];
        let told = api::get(server, &api::with_query("/v1/deliveries", &query))?;
        print(&told)?;
        after = told["next"].as_u64().map(|next| next.to_string());
        if after.is_none() {
            return Ok(());
        }
    }
}

/// One page, a line each.
fn print(told: &Value) -> Result<(), Failure> {
    for each in told["deliveries"].as_array().into_iter().flatten() {
        let [crm, event, call, error] =
            ["crm", "event", "call", "error"].map(|key| each[key].as_str().unwrap_or("-").to_owned());
        let next = each["next"].as_str().map_or_else(|| "set aside".to_owned(), |next| format!("next at {next}"));
        let (id, attempts) = (&each["id"], &each["attempts"]);
        print_line(format_args!("{id} {crm} {event} of {call}: {attempts} attempts, {next}: {error}"))?;
    }
    Ok(())
}
