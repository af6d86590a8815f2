//! What lies on disks: models, keys, certificates, and room for what is kept.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use x509_parser::pem::Pem;

use super::Finding;
use crate::settings::{Checked, MasterKeySource, Settings, TlsSettings, TokenSource};
use crate::store::{KeyError, MASTER_FILE, MasterKey};
use crate::web::Moment;

const GIB: u64 = 1 << 30;
/// Less room than this is too little to begin with, and this is soon too little.
const ROOM_FAIL: u64 = GIB / 2;
const ROOM_WARN: u64 = 5 * GIB;
/// A certificate that ends sooner is to be renewed now. Days.
const RENEW_DAYS: i64 = 21;
const DAY_S: i64 = 86_400;

/// Looks at everything that these settings name.
pub(super) fn look(checked: &Checked) -> Vec<Finding> {
    let settings = &checked.settings;
    let mut findings = models(checked);
    findings.extend(secrets(settings));
    if let Some(store) = &settings.store {
        let missing = "without it nothing that is kept can be read: put it back, or name a new one for an empty store";
        findings.push(master_key("master key", &store.master_key, (&store.folder, missing)));
        let missing = "put it back, or take it out of [store] once `calmline keys rotate` has been done";
        let previous = store.previous_key.as_ref();
        findings.extend(previous.map(|key| master_key("master key of before", key, (&store.folder, missing))));
        let folders = [("store", &store.folder), ("back-ups", &store.backups)];
        findings.extend(folders.map(|(what, folder)| room(what, folder)));
    }
    findings.extend(certificates(settings));
    findings
}

/// How long the server's own certificates are good yet.
pub(super) fn certificates(settings: &Settings) -> impl Iterator<Item = Finding> {
    own_tls(settings).map(|tls| match fs::read(&tls.certificate) {
        Ok(pem) => certificate(&tls.certificate, &pem, (Moment::now().0 / 1_000) as i64),
        Err(error) => Finding::fail(
            format!("certificate {}", tls.certificate.display()),
            error.to_string(),
            "a certificate that the server's user may read",
        ),
    })
}

/// By what the server shows who it is: to whoever calls, and to whoever asks the API.
fn own_tls(settings: &Settings) -> impl Iterator<Item = &TlsSettings> {
    let of_web = settings.web.as_ref().and_then(|web| web.tls.as_ref());
    settings.sip.tls.iter().chain(of_web)
}

fn models(checked: &Checked) -> Vec<Finding> {
    let mut findings = Vec::new();
    if checked.settings.listening.enabled {
        let missing = checked.judges.load().missing;
        findings.extend(missing.iter().map(|why| {
            let mend = "scripts/fetch-onnxruntime, or listening.runtime = \"…/libonnxruntime.so\"";
            Finding::warn("models of emotion", why.as_str(), mend)
        }));
        if missing.is_empty() {
            findings.push(Finding::ok("models of emotion", "loaded"));
        }
    }
    match &checked.recognizer {
        Some(Err(why)) => findings.push(Finding::warn(
            "recognition",
            format!("no words will be heard: {why}"),
            "calmline models verify; calmline models add, or pull",
        )),
        Some(Ok(_)) => findings.push(Finding::ok("recognition", "models and phrases are there")),
        None => {}
    }
    findings
}

/// Whether the server can read the secrets that the settings name, and others cannot.
pub(super) fn secrets(settings: &Settings) -> Vec<Finding> {
    secret_files(settings).iter().filter_map(|file| secret(file)).collect()
}

fn secret_files(settings: &Settings) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if let Some(TokenSource::File(file)) = settings.web.as_ref().map(|web| &web.token) {
        files.push(file.clone());
    }
    files.extend(own_tls(settings).map(|tls| tls.key.clone()));
    files.extend(settings.bus.iter().filter_map(|bus| bus.credentials.clone()));
    for key in settings.store.iter().flat_map(|store| std::iter::once(&store.master_key).chain(&store.previous_key)) {
        if let MasterKeySource::File(file) = key {
            files.push(file.clone());
        }
    }
    files
}

/// Whether a secret can be read, and others cannot read it; nothing where the file is not there, which `check` has told.
fn secret(file: &Path) -> Option<Finding> {
    let what = format!("secret {}", file.display());
    let found = match fs::File::open(file).and_then(|file| file.metadata()) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(Finding::fail(what, error.to_string(), "a file that the server's user may read")),
    };
    let mode = found.permissions().mode() & 0o777;
    let found = format!("mode {mode:03o}");
    Some(if mode & 0o007 == 0 {
        Finding::ok(what, found)
    } else {
        Finding::fail(what, format!("{found}: everybody here may read it"), format!("chmod 600 {}", file.display()))
    })
}

/// Whether a master key is there, can be read and is one; `missing` says what to do when it is not.
pub(super) fn master_key(what: &str, source: &MasterKeySource, (folder, missing): (&Path, &str)) -> Finding {
    let beside = folder.join(MASTER_FILE);
    match source {
        MasterKeySource::Variable(name) => match std::env::var(name).map(zeroize::Zeroizing::new) {
            Ok(key) => match MasterKey::parse(&key) {
                Ok(_) => Finding::ok(what, format!("in {name}")),
                Err(error) => Finding::fail(what, format!("in {name}: {error}"), missing),
            },
            Err(_) => Finding::warn(what, format!("{name} is not set here"), "the server's environment has to have it"),
        },
        MasterKeySource::File(file) => match MasterKey::read(file) {
            Ok(_) => Finding::ok(what, file.display().to_string()),
            Err(error) => no_key(what, file, &error, missing),
        },
        MasterKeySource::Command(words) => {
            Finding::ok(what, format!("by {}", words.first().map_or("nothing", String::as_str)))
        }
        MasterKeySource::Beside => match MasterKey::read(&beside) {
            // One that is not there yet is made at the first start.
            Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => lies_beside(what, folder),
            Err(error) => no_key(what, &beside, &error, missing),
            Ok(_) => lies_beside(what, folder),
        },
    }
}

fn lies_beside(what: &str, folder: &Path) -> Finding {
    let mend = "store.key_file or key_env: whoever gets the disk gets everything";
    Finding::warn(what, format!("beside what it protects, in {}", folder.display()), mend)
}

fn no_key(what: &str, file: &Path, error: &KeyError, missing: &str) -> Finding {
    let found = match error {
        KeyError::File { .. } => error.to_string(),
        _ => format!("{}: {error}", file.display()),
    };
    Finding::fail(what, found, missing)
}

/// Whether there is room in a folder that may be made yet, and whether it may be written.
fn room(what: &str, folder: &Path) -> Finding {
    let Some(there) = folder.ancestors().find(|folder| folder.is_dir()) else {
        return Finding::fail(
            what,
            format!("{}: no such folder", folder.display()),
            "a folder on a disk that is there",
        );
    };
    let told = |error: rustix::io::Errno| io::Error::from(error).to_string();
    if let Err(error) = access(there, Access::WRITE_OK) {
        let found = format!("{}: {}", there.display(), told(error));
        return Finding::fail(what, found, "a folder that the server's user may write");
    }
    let free = match statvfs(there) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => return Finding::warn(what, format!("{}: {}", there.display(), told(error)), "look at the disk"),
    };
    let found = format!("{}: {:.1} GiB free", folder.display(), free as f64 / GIB as f64);
    let mend = "a larger disk, or shorter keep_days: when it is full, details of calls are shed and records wait";
    match free {
        0..ROOM_FAIL => Finding::fail(what, found, mend),
        ROOM_FAIL..ROOM_WARN => Finding::warn(what, found, mend),
        _ => Finding::ok(what, found),
    }
}

/// How long the first certificate of a file is good yet.
pub(super) fn certificate(file: &Path, pem: &[u8], now_s: i64) -> Finding {
    let what = format!("certificate {}", file.display());
    let mend = "a certificate that is in force; the server takes it up by itself";
    let first = Pem::iter_from_buffer(pem).next().and_then(Result::ok);
    let parsed = first.as_ref().map(Pem::parse_x509);
    let Some(Ok(certificate)) = parsed else { return Finding::fail(what, "no certificate in PEM", mend) };
    let validity = certificate.validity();
    let days = (validity.not_after.timestamp() - now_s).div_euclid(DAY_S);
    let found = format!("until {}", validity.not_after);
    if validity.not_before.timestamp() > now_s {
        return Finding::fail(what, format!("not before {}", validity.not_before), mend);
    }
    match days {
        ..0 => Finding::fail(what, format!("{found}: it is over"), mend),
        0..RENEW_DAYS => Finding::warn(what, format!("{found}: {days} days"), mend),
        _ => Finding::ok(what, found),
    }
}
