//! `calmline audit` and `calmline rekey`: the audit trail and the keys, looked at from outside.

use std::path::Path;

use crate::cli::{AuditArgs, AuditCommand, Failure, RekeyArgs, print_line};
use crate::settings::{Settings, StoreSettings};
use crate::store::audit::{AuditEntry, verify};
use crate::store::{MasterKey, keys_and_trail, rewrap};
use crate::web::Moment;

/// Runs `calmline audit`.
///
/// # Errors
/// When the trail cannot be read, or is not as it was written.
pub(crate) fn run(command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify(args) => verify_trail(args),
        AuditCommand::List(args) => list(args),
    }
}

/// Runs `calmline rekey`.
///
/// # Errors
/// When either key, or the key file, is not right.
pub(crate) fn rekey(args: &RekeyArgs) -> Result<(), Failure> {
    let settings = store_of(&args.config)?;
    let failed = |error| Failure::of("the new master key", error);
    let new = MasterKey::read(&args.new_key_file).map_err(failed)?;
    let keys = rewrap(&settings, &new).map_err(|error| Failure::of("wrapping the keys anew", error))?;
    let file = args.new_key_file.display();
    print_line(format_args!("{keys} keys are wrapped by the key in {file}: name it in [store] before the next start"))
}

fn verify_trail(args: &AuditArgs) -> Result<(), Failure> {
    let verified = read(args, &mut |_, _, _| {})?;
    for finding in &verified.findings {
        print_line(format_args!("{finding}"))?;
    }
    let (entries, checkpoints, (seq, code)) = (verified.entries, verified.checkpoints, &verified.end);
    print_line(format_args!("{entries} entries, {checkpoints} signed checkpoints; the last is {seq}, code {code}"))?;
    match verified.findings.len() {
        0 => print_line(format_args!("the trail is as it was written")),
        found => Err(Failure::Unexpected(format!("the trail is not as it was written: {found} findings"))),
    }
}

fn list(args: &AuditArgs) -> Result<(), Failure> {
    let mut printed = Ok(());
    read(args, &mut |seq, unix_ms, entry: AuditEntry| {
        if printed.is_ok() && args.call.as_ref().is_none_or(|call| *call == entry.call) {
            let AuditEntry { kind, who, call, what } = entry;
            let time = Moment(unix_ms);
            let line =
                serde_json::json!({ "seq": seq, "time": time, "kind": kind, "who": who, "call": call, "what": what });
            printed = print_line(line);
        }
    })?;
    printed
}

fn read(
    args: &AuditArgs,
    each: &mut dyn FnMut(u64, u64, AuditEntry),
) -> Result<crate::store::audit::Verified, Failure> {
    let settings = store_of(&args.config)?;
    let (keys, trail) = keys_and_trail(&settings).map_err(|error| Failure::of("reading the keys", error))?;
    verify(&trail, &keys, each).map_err(|error| Failure::of(trail.folder().display().to_string(), error))
}

/// The `[store]` of a configuration file.
pub(crate) fn store_of(config: &Path) -> Result<StoreSettings, Failure> {
    let missing = || Failure::Failed(format!("{}: no [store]: nothing is kept", config.display()));
    settings_of(config)?.store.ok_or_else(missing)
}

/// A configuration file's settings.
pub(crate) fn settings_of(config: &Path) -> Result<Settings, Failure> {
    Settings::load(config).map_err(|faults| Failure::Configuration(faults.iter().map(ToString::to_string).collect()))
}
