//! Recordings of calls as stories for policies: listened to as the server listens to recordings, in simulated time, with nobody
//! who decides.

use std::fs::File;
use std::path::Path;

use nlu::recognition::Language;
use routing::backtest::Interaction;

use super::recorded::Recorded;
use crate::cli::{Failure, RecordedArgs, spoken};
use crate::control::{ChatOpening, ControlSettings, RECORDING};
use crate::settings::Settings;
use crate::shell::recordings::{Channels, InForce, Upload, channels_of, listen_to, look};

/// What listens.
pub(crate) struct Hearing {
    in_force: InForce,
    channels: Channels,
    language: Option<Language>,
}

impl Hearing {
    /// As it is asked for; `None` when nobody says which scenario the recordings are of.
    ///
    /// # Errors
    /// When the configuration, the scenario or the language is none.
    pub(super) fn new(args: &RecordedArgs) -> Result<Option<Hearing>, Failure> {
        let Some(scenario) = &args.scenario else { return Ok(None) };
        let faults = |faults: Vec<crate::settings::Fault>| {
            Failure::Configuration(faults.iter().map(ToString::to_string).collect())
        };
        let own = own_route(scenario).map_err(|_| {
            Failure::Failed(format!(
                "--scenario: expected 1-64 letters, digits, \"-\", \"_\" or \".\"; found {scenario:?}"
            ))
        })?;
        let mut settings = match &args.config {
            Some(file) => Settings::load(file).map_err(faults)?,
            None => own.clone(),
        };
        settings.routes = own.routes;
        settings.listening.enabled = true;
        let language = args.language.as_deref().map(spoken).transpose()?;
        let no_channel = || Failure::Failed("--agent: expected channel 0 or 1".to_owned());
        let channels = channels_of(args.agent).ok_or_else(no_channel)?;
        let control = ControlSettings::from(&settings);
        let in_force = InForce { settings, control, policies: Vec::new().into() };
        Ok(Some(Hearing { in_force, channels, language }))
    }

    /// Listens to a recording; `None` of one in which nothing is said.
    ///
    /// # Errors
    /// When it is no recording, or has not the channels that are asked for.
    pub(super) fn listen(&self, file: &Path) -> Result<Option<Interaction>, Failure> {
        let of_file = |error: &dyn std::fmt::Display| Failure::of(file.display(), error);
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let opened = File::open(file).map_err(|error| of_file(&error))?;
        look(&opened, self.channels).map_err(|why| of_file(&why))?;
        let opening = ChatOpening {
            channel: RECORDING.to_owned(),
            name: None,
            customer: String::new(),
            language: self.language,
            route: None,
            details: Vec::new(),
        };
        let (customer, agent) = self.channels;
        let upload = Upload { file: opened, opening, customer, agent };
        let mut heard = Recorded::new(&name);
        listen_to(upload, &self.in_force, |notice| heard.take_notice(notice.clone())).map_err(|why| of_file(&why))?;
        // Nobody decided anything: there is nothing to compare with.
        Ok(heard.into_interaction(None).map(|interaction| Interaction { recorded: None, ..interaction }))
    }
}

/// A configuration with the only route that recordings need.
fn own_route(scenario: &str) -> Result<Settings, Vec<crate::settings::Fault>> {
    let text = format!(
        "[[route]]\nname = \"recordings\"\nmatch = {{ request_uri = \"chat:{RECORDING}\" }}\nforked = true\nscenario = {}\n",
        toml::Value::from(scenario)
    );
    Settings::parse(&text, Path::new("calmline.toml"))
}
