//! Reads the configuration again while the server runs: on SIGHUP, or when the API asks.
//!
//! Reads in a thread of its own, as `calmline check` does. The desk gets only what is good as a whole; when anything is
//! broken nothing is taken, and what was in force stays so.

use std::path::{Path, PathBuf};

use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::start::live_options;
use crate::metrics::Metrics;
use crate::settings::{Checked, Fault, Settings, check_settings_as, read_text};
use crate::shell::crm::Receivers;
use crate::shell::fork::{ForkError, Senders};
use crate::shell::pbx::FreshPbxes;
use crate::shell::sip::{FreshTrunks, SipError};
use crate::shell::sources::FreshSources;
use crate::web::{KeptPolicies, LiveOptions, ReloadAsked, Reloaded};

/// A configuration for the desk to take up.
pub(super) struct Fresh {
    pub(super) checked: Box<Checked>,
    pub(super) neighbours: Neighbours,
    pub(super) outside: Outside,
    /// Whether the policies are the very same as before.
    pub(super) keeps_policies: bool,
    /// How the API is offered from now on, where it is.
    pub(super) live: Option<LiveOptions>,
    /// Hears of it when everything is taken up.
    pub(super) taken: oneshot::Sender<()>,
}

/// Whom calls come from and go to, with the secrets at hand: nothing of it can fail any more.
pub(super) struct Neighbours {
    pub(super) trunks: FreshTrunks,
    pub(super) pbxes: FreshPbxes,
    pub(super) senders: Senders,
}

impl Neighbours {
    /// Those of the settings; what is missing, and where it is expected, when something is.
    fn read(settings: &Settings) -> Result<Neighbours, (String, String)> {
        let in_trunks = |error: SipError| ("trunks".to_owned(), error.to_string());
        let in_pbxes = |(name, why): (String, String)| (format!("pbx.{name}"), why);
        let in_forks = |error: ForkError| ("forks.token_env".to_owned(), error.to_string());
        Ok(Neighbours {
            trunks: FreshTrunks::read(&settings.trunks).map_err(in_trunks)?,
            pbxes: FreshPbxes::read(&settings.pbxes).map_err(in_pbxes)?,
            senders: Senders::read(&settings.forks).map_err(in_forks)?,
        })
    }
}

/// Who is told outside of calls, and where business data comes from, the same way.
pub(super) struct Outside {
    pub(super) receivers: Receivers,
    pub(super) sources: FreshSources,
}

impl Outside {
    /// Those of the settings; what is missing, and where it is expected, when something is.
    fn read(settings: &Settings) -> Result<Outside, (String, String)> {
        Ok(Outside { receivers: Receivers::read(settings)?, sources: FreshSources::read(&settings.sources)? })
    }
}

/// Reads the configuration when it is told to.
pub(super) struct Reloader {
    file: PathBuf,
    /// What the server was started with.
    started: Box<Settings>,
    /// What the file said when it was last taken up.
    taken: String,
    metrics: Metrics,
    asked: mpsc::Receiver<ReloadAsked>,
    desk: mpsc::Sender<Fresh>,
}

impl Reloader {
    /// A reader of `file`, which said `text` at the start; where whoever asks finds it, and where what it reads comes out.
    pub(super) fn new(
        (file, text): (&Path, String),
        started: &Settings,
        metrics: &Metrics,
    ) -> (Self, mpsc::Sender<ReloadAsked>, mpsc::Receiver<Fresh>) {
        // One is read at a time; one more may wait, which finds everything that was written meanwhile.
        let (asks, asked) = mpsc::channel(1);
        let (desk, fresh) = mpsc::channel(1);
        let (file, started, metrics) = (file.to_owned(), Box::new(started.clone()), metrics.clone());
        let reader = Self { file, started, taken: text, metrics, asked, desk };
        (reader, asks, fresh)
    }

    /// Reads whenever `hangup` comes or somebody asks, as long as the desk works.
    pub(super) async fn run(mut self, mut hangup: Signal) {
        while !self.desk.is_closed() {
            let asked = tokio::select! {
                Some(()) = hangup.recv() => None,
                // Without an API nobody holds the other end.
                Some(asked) = self.asked.recv() => Some(asked),
                else => return,
            };
            let kept = asked.as_ref().and_then(|asked| asked.policies.clone());
            let outcome = self.reload(kept).await;
            self.tell(&outcome);
            if let Some(asked) = asked {
                // Whoever asked may have left.
                let _ = asked.waits.send(outcome);
            }
        }
    }

    /// Reads everything. Of a library that was replaced only the libraries: the configuration stays as it was taken up, and
    /// policies that are kept do not come from their files.
    async fn reload(&mut self, kept: Option<KeptPolicies>) -> Result<Reloaded, Vec<Fault>> {
        let keeps_policies = kept.as_ref().is_some_and(KeptPolicies::is_all);
        let text = match kept {
            Some(_) => self.taken.clone(),
            None => read_text(&self.file).map_err(|fault| vec![fault])?,
        };
        let policies = kept.map(|kept| kept.texts());
        let fault = |key: &str, found: String, expected: &str| {
            let (key, expected) = (key.to_owned(), expected.to_owned());
            vec![Fault { file: self.file.clone(), key, found, expected }]
        };
        let (file, new) = (self.file.clone(), text.clone());
        let read = move || check_settings_as(&file, &new, policies.as_ref()).map(Box::new);
        let read = tokio::task::spawn_blocking(read).await;
        let mut checked = read.unwrap_or_else(|error| {
            Err(fault("the whole file", format!("a reader that broke: {error}"), "a file that can be read"))
        })?;
        let (settings, needs_restart) = checked.settings.for_running(&self.started);
        checked.settings = settings;
        let live = live_options(&checked.settings)
            .map_err(|why| fault("web.token_file or token_env", why, "a token of 16-512 characters"))?;
        let unreadable =
            |(key, why): (String, String)| fault(&key, why, "a secret, or authorities, that the server can read");
        let neighbours = Neighbours::read(&checked.settings).map_err(unreadable)?;
        let outside = Outside::read(&checked.settings).map_err(unreadable)?;

        let policies = checked.policies.policies.iter().map(routing::Policy::label).collect();
        let (taken, done) = oneshot::channel();
        let fresh = Fresh { checked, neighbours, outside, keeps_policies, live, taken };
        if self.desk.send(fresh).await.is_err() || done.await.is_err() {
            return Err(fault("the whole file", "a server that ends".to_owned(), "one that runs"));
        }
        self.taken = text;
        Ok(Reloaded { policies, needs_restart })
    }

    fn tell(&self, outcome: &Result<Reloaded, Vec<Fault>>) {
        match outcome {
            Ok(Reloaded { policies, needs_restart }) => {
                self.metrics.count_reload("taken");
                info!(?policies, "the configuration was read again: calls that begin from now on go by it");
                for key in needs_restart {
                    warn!(key, "has changed, and stays as it was until the server is started again");
                }
            }
            Err(faults) => {
                self.metrics.count_reload("refused");
                for fault in faults {
                    error!(%fault, "the configuration is broken");
                }
                error!(faults = faults.len(), "nothing of the configuration was taken; what was in force stays so");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const CONFIGURATION: &str = r#"
        [sip]
        listen = "127.0.0.1:5060"
        [targets.bot]
        uri = "sip:bot@127.0.0.1:5070"
        [[route]]
        name = "all"
        targets = ["bot"]
        scenario = "after-sales"
    "#;
    const POLICY: &str = r#"
        name = "after-sales"
        version = 3
        scenarios = ["after-sales"]
        [[rule]]
        id = "angry"
        when = { emotion = "anger", level = "high" }
        then = [{ reroute = "bridge", target = "bot" }]
    "#;

    #[tokio::test]
    async fn what_is_good_is_taken() {
        let configuration = CONFIGURATION.replace("5060", "5061").replace("\"bot\"", "\"other\"");
        let configuration = configuration.replace("targets.bot", "targets.other");
        let policy = POLICY.replace("\"bot\"", "\"other\"").replace("version = 3", "version = 4");
        let (outcome, taken) = reload("good", &configuration, &policy).await;
        let expected = Reloaded { policies: vec!["after-sales@4".into()], needs_restart: vec!["sip.listen".into()] };
        assert_eq!(outcome, Ok(expected));
        let settings = taken.expect("the desk got it").settings;
        assert!(settings.targets.contains_key("other"));
        assert_eq!(settings.sip.listen().port(), 5060, "sockets stay where they are");
    }

    #[tokio::test]
    async fn what_is_broken_anywhere_is_refused_as_a_whole() {
        let twice = CONFIGURATION.replace("5060", "60000000").replace("targets = [\"bot\"]", "targets = [\"nobody\"]");
        check("settings", &twice, POLICY, &["sip.listen", "route[1].targets"]).await;
        check("policy", CONFIGURATION, &POLICY.replace("high", "loud"), &["rule[1].when.level"]).await;
        check("names", CONFIGURATION, &POLICY.replace("\"bot\"", "\"bat\""), &["rule[1].then[1].target"]).await;
        let token = format!("{CONFIGURATION}\n[web]\nlisten = \"127.0.0.1:8080\"\ntoken_file = \"none\"");
        check("token", &token, POLICY, &["web.token_file"]).await;
        let secret = "[pbx.asterisk]\nkind = \"esl\"\naddress = \"127.0.0.1:1\"\nsecret_env = \"CALMLINE_NOT_SET\"";
        check("secret", &format!("{CONFIGURATION}\n{secret}"), POLICY, &["pbx.asterisk"]).await;
        let token = format!("{CONFIGURATION}\n[forks]\ntoken_env = \"CALMLINE_NOT_SET\"");
        check("senders", &token, POLICY, &["forks.token_env"]).await;
        let account = "[trunks.a.credentials]\nuser = \"us\"\npassword_env = \"CALMLINE_NOT_SET\"";
        check("password", &format!("{CONFIGURATION}\n{account}"), POLICY, &["trunks"]).await;
        check("text", "[sip", POLICY, &["line 1, column 5"]).await;
    }

    async fn check(name: &str, configuration: &str, policy: &str, keys: &[&str]) {
        let (outcome, taken) = reload(name, configuration, policy).await;
        let faults = outcome.expect_err(name);
        let found: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!((found.as_slice(), taken.is_none()), (keys, true), "{faults:?}");
    }

    /// What a server makes of other files that was started with those above, and what the desk gets.
    async fn reload(
        name: &str,
        configuration: &str,
        policy: &str,
    ) -> (Result<Reloaded, Vec<Fault>>, Option<Box<Checked>>) {
        let folder = std::env::temp_dir().join(format!("calmline-reload-{}-{name}", std::process::id()));
        fs::create_dir_all(folder.join("policies")).expect("a folder");
        let file = folder.join("calmline.toml");
        fs::write(&file, configuration).expect("a file");
        fs::write(folder.join("policies/after-sales.toml"), policy).expect("a file");
        let started = Box::new(Settings::parse(CONFIGURATION, &file).expect("a good file"));
        let (mut reader, _asks, mut fresh) = Reloader::new((&file, CONFIGURATION.into()), &started, &Metrics::new());
        let desk = tokio::spawn(async move {
            let Fresh { checked, taken, .. } = fresh.recv().await?;
            taken.send(()).expect("the reader waits");
            Some(checked)
        });
        let outcome = reader.reload(None).await;
        drop(reader);
        let _ = fs::remove_dir_all(&folder);
        (outcome, desk.await.expect("the desk works"))
    }
}
