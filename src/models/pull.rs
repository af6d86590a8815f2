//! `calmline models pull`: fetches a package by its manifest, goes on where it was cut off, keeps nothing that is wrong.
//!
//! Proxies are those of the environment (`HTTPS_PROXY` and its like).

use std::fs::{self, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::RANGE;
use reqwest::{Client, StatusCode, Url};

use super::add::{finish, make_folder_of};
use super::package::{Manifest, ManifestFile, Package, PackageError};
use super::place;
use crate::cli::{Failure, ModelsPullArgs};
use crate::signed::{PublicKey, Trust};

/// How long a server may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The longest manifest.
const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// Fetches what the manifest names beside its place, and puts it there once it is whole: what is in use stays whole, too.
pub(super) fn pull(args: &ModelsPullArgs) -> Result<Package, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of("starting the runtime", error))?;
    runtime.block_on(fetch_package(args)).map_err(Failure::Failed)
}

async fn fetch_package(args: &ModelsPullArgs) -> Result<Package, String> {
    let client = Client::builder().connect_timeout(SILENCE_MAX).read_timeout(SILENCE_MAX).build();
    let client = client.map_err(|error| format!("setting up the client: {error}"))?;
    let address = Url::parse(&args.manifest)
        .map_err(|error| format!("{}: expected the URL of a manifest, found: {error}", args.manifest))?;
    let text = fetch_text(&client, &address).await?;
    // Nothing is asked of a server that an unsigned manifest names.
    let signature = fetch_signature(&client, &address, &args.trusted, text.as_bytes()).await?;
    let manifest = Manifest::parse(&text, Path::new(address.as_str())).map_err(|error| error.to_string())?;
    let named = |error: PackageError| error.to_string();
    let (place, folder) = (args.to.models.join(&manifest.name), place::beside(&args.to.models, &manifest.name));
    place::check(&place).map_err(named)?;
    if let Ok(there) = Package::open(place.clone()).and_then(|there| there.verify().map(|()| there))
        && there.manifest == manifest
    {
        return finish(Package { text, ..there }, signature.as_deref()).map_err(named);
    }
    for file in &manifest.files {
        let from = address.join(file.url.as_deref().unwrap_or(&file.path));
        let from = from.map_err(|error| format!("{}: expected a URL, found: {error}", file.path))?;
        fetch_file(&client, &from, file, &folder.join(&file.path), &place.join(&file.path)).await?;
    }
    let files: Vec<PathBuf> = manifest.files.iter().map(|file| folder.join(&file.path)).collect();
    // Left by an earlier version that was cut off.
    place::prune(&folder, &|path| files.iter().any(|file| file == path))
        .map_err(|e| named(PackageError::file(&folder)(e)))?;
    finish(Package { folder, manifest, text }, signature.as_deref()).and_then(place::put).map_err(named)
}

/// The signature that lies beside a manifest, where anybody has to have signed it.
async fn fetch_signature(
    client: &Client,
    manifest: &Url,
    trusted: &[PublicKey],
    content: &[u8],
) -> Result<Option<String>, String> {
    if trusted.is_empty() {
        return Ok(None);
    }
    let mut address = manifest.clone();
    address.set_path(&format!("{}.sig", manifest.path()));
    let signature = fetch_text(client, &address).await?;
    let checked = Trust::only(trusted.to_vec())?.check_text(&signature, content);
    checked.map_err(|found| format!("{address}: expected a signature by a trusted key, found {found}"))?;
    Ok(Some(signature))
}

async fn fetch_text(client: &Client, address: &Url) -> Result<String, String> {
    let named = |error: reqwest::Error| format!("{address}: {error}");
    let mut answer = client.get(address.clone()).send().await.and_then(|a| a.error_for_status()).map_err(named)?;
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(named)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(format!("{address}: expected a manifest of at most 1 MB, found more"));
        }
    }
    String::from_utf8(bytes).map_err(|_| format!("{address}: expected a manifest, found bytes that are no text"))
}

/// Fetches one file beside its place, and puts it there once it is the right one; `there`: where it may be already.
async fn fetch_file(client: &Client, from: &Url, file: &ManifestFile, to: &Path, there: &Path) -> Result<(), String> {
    if file.verify(to).is_ok() {
        return Ok(());
    }
    make_folder_of(to).map_err(|error| error.to_string())?;
    if file.verify(there).is_ok() {
        return fs::copy(there, to).map(drop).map_err(|error| PackageError::file(to)(error).to_string());
    }
    let part = part_of(to);
    fetch_rest(client, from, file, &part).await?;
    if let Err(error) = file.verify(&part) {
        // What is whole and wrong would stay wrong for ever; what is cut off is gone on with.
        let is_whole = fs::metadata(&part).is_ok_and(|found| found.len() >= file.bytes);
        if is_whole {
            fs::remove_file(&part).map_err(|error| PackageError::file(&part)(error).to_string())?;
        }
        return Err(format!("{from}: {error}"));
    }
    fs::rename(&part, to).map_err(|error| PackageError::file(to)(error).to_string())
}

/// Appends to a part what it lacks.
async fn fetch_rest(client: &Client, from: &Url, file: &ManifestFile, part: &Path) -> Result<(), String> {
    let named = |error: reqwest::Error| format!("{from}: {error}");
    let written = |error: std::io::Error| PackageError::file(part)(error).to_string();
    let mut have = fs::metadata(part).map_or(0, |found| found.len());
    if have >= file.bytes {
        return Ok(());
    }
    let mut asked = client.get(from.clone());
    if have > 0 {
        asked = asked.header(RANGE, format!("bytes={have}-"));
    }
    let mut answer = asked.send().await.and_then(|answer| answer.error_for_status()).map_err(named)?;
    let goes_on = answer.status() == StatusCode::PARTIAL_CONTENT;
    let mut options = OpenOptions::new();
    let mut out = options.create(true).append(goes_on).write(true).truncate(!goes_on).open(part).map_err(written)?;
    if !goes_on {
        have = 0;
    }
    while let Some(piece) = answer.chunk().await.map_err(named)? {
        have += piece.len() as u64;
        if have > file.bytes {
            let _ = fs::remove_file(part);
            return Err(format!("{from}: expected {} bytes, found more", file.bytes));
        }
        out.write_all(&piece).map_err(written)?;
        show(&file.path, have, file.bytes);
    }
    Ok(())
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// Shows how far it is, on a terminal only.
fn show(path: &str, have: u64, of: u64) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(out, "\r{path} {have} of {of}{}", if have == of { "\n" } else { "" });
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::cli::ModelsArgs;
    use crate::models::add::add;
    use crate::models::add::tests::{folder, loose};
    use crate::models::installed;
    use crate::signed::{beside, make_key, sign};

    /// SHA-256 of `test`.
    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn a_package_is_fetched_and_a_cut_off_file_gone_on_with() {
        let folder = folder("pull");
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let server = serve(&asked, b"test", "");
        let args = arguments(server, &folder);
        let acoustic = folder.join("zh.new/acoustic");
        fs::create_dir_all(&acoustic).expect("made");
        fs::write(acoustic.join("mdef.part"), "te").expect("written");
        let package = pull(&args).expect("pulled");
        package.verify().expect("as its manifest says");
        assert!(asked.lock().expect("asked").contains(&"/acoustic/mdef from 2".to_owned()), "{asked:?}");
        let before = asked.lock().expect("asked").len();
        pull(&args).expect("pulled again");
        assert_eq!(asked.lock().expect("asked").len(), before + 1, "only the manifest is asked for again");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_wrong_or_short_file_is_named_and_not_kept() {
        for (content, expected) in [
            (&b"tesT"[..], "expected sha256"),
            (&b"tes"[..], "expected 4 bytes, found 3 bytes"),
            (&b"tests"[..], "expected 4 bytes, found more"),
        ] {
            let folder = folder("pull-wrong");
            let server = serve(&Arc::default(), content, "");
            let error = pull(&arguments(server, &folder)).expect_err("wrong").to_string();
            assert!(error.contains("mdef") && error.contains(expected), "{error}");
            assert!(!folder.join("zh").exists() && !folder.join("zh.new/acoustic/mdef").exists());
            fs::remove_dir_all(folder).expect("removed");
        }
    }

    #[test]
    fn what_is_in_use_stays_whole_until_another_version_is() {
        let folder = folder("pull-again");
        let models = folder.join("models");
        add(&loose(&folder, "from", "zh", &["mdef", "feat.params", "means"])).expect("an earlier version");
        let there = |expected: usize| {
            let packages = installed(&models).expect("packages");
            assert_eq!((packages.len(), packages[0].manifest.files.len()), (1, expected));
            packages[0].verify().expect("whole");
        };
        // Left by a pull of a version between them.
        fs::create_dir_all(models.join("zh.new/acoustic")).expect("made");
        fs::write(models.join("zh.new/acoustic/sendump.part"), "te").expect("written");
        let server = serve(&Arc::default(), b"tes", "");
        pull(&arguments(server, &models)).expect_err("cut off");
        there(4);
        let server = serve(&Arc::default(), b"test", "");
        pull(&arguments(server, &models)).expect("pulled");
        there(2);
        assert!(!models.join("zh.new").exists(), "something is left");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_manifest_that_nobody_trusted_has_signed_leads_nowhere() {
        let folder = folder("pull-signed");
        fs::create_dir_all(&folder).expect("made");
        let [written, key] = ["published.toml", "key"].map(|name| folder.join(name));
        fs::write(&written, manifest()).expect("written");
        let trusted = make_key(&key).expect("a key");
        sign(std::slice::from_ref(&written), &key).expect("signed");
        let signature = fs::read_to_string(beside(&written)).expect("a signature");
        for (signature, expected) in [(signature.as_str(), None), ("nothing", Some("manifest.toml.sig: expected"))] {
            let asked = Arc::default();
            let server = serve(&asked, b"test", signature);
            let args = ModelsPullArgs { trusted: vec![trusted], ..arguments(server, &folder) };
            match (pull(&args), expected) {
                (Ok(package), None) => {
                    package.check(&Trust::only(vec![trusted]).expect("one")).expect("signed here, too");
                }
                (Err(found), Some(part)) => {
                    assert!(found.to_string().contains(part), "{found}");
                    assert_eq!(asked.lock().expect("asked").len(), 2, "no file of the package was asked for");
                }
                (found, _) => panic!("{signature}: {found:?}"),
            }
        }
        fs::remove_dir_all(folder).expect("removed");
    }

    /// What the server's manifest says.
    fn manifest() -> String {
        let files = ["acoustic/mdef", "words.dict"]
            .map(|path| format!("[[file]]\npath = '{path}'\nbytes = 4\nsha256 = '{HASH}'\n"));
        format!(
            "name = 'zh'\nlanguage = 'zh'\nengine = 'pocketsphinx'\nacoustic = 'acoustic'\ndictionary = 'words.dict'\n{}",
            files.concat()
        )
    }

    fn arguments(server: SocketAddr, folder: &Path) -> ModelsPullArgs {
        let to = ModelsArgs { models: folder.to_owned() };
        ModelsPullArgs { manifest: format!("http://{server}/manifest.toml"), to, trusted: Vec::new() }
    }

    /// An HTTP server that knows ranges; the file `mdef` has this content.
    fn serve(asked: &Arc<Mutex<Vec<String>>>, content: &'static [u8], signature: &str) -> SocketAddr {
        let signature = signature.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let asked = Arc::clone(asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                answer(stream, &asked, content, &signature);
            }
        });
        address
    }

    fn answer(stream: TcpStream, asked: &Mutex<Vec<String>>, content: &[u8], signature: &str) {
        let mut reader = BufReader::new(stream.take(1 << 16));
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
        let range = lines.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
        let from: usize = range.and_then(|range| range.trim_end_matches('-').parse().ok()).unwrap_or(0);
        asked.lock().expect("asked").push(format!("{path} from {from}"));
        let manifest = manifest();
        let body = match path.as_str() {
            "/manifest.toml" => manifest.as_bytes(),
            "/manifest.toml.sig" => signature.as_bytes(),
            "/acoustic/mdef" => &content[from.min(content.len())..],
            _ => b"test",
        };
        let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let mut stream = reader.into_inner().into_inner();
        // A client that has gone away is its own test's matter.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    }
}
