//! What of the API can be exchanged while it runs: who is let in, and what can be played by order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::http::HeaderMap;
use media::tone::Region;
use tokio_util::sync::CancellationToken;

use super::WebError;
use super::auth::Gate;
use super::orders::PromptFolder;
use super::own::{Claim, Party, parties};
use super::signing::Who;
use crate::libraries::Libraries;
use crate::settings::{MasterKeySource, Settings, Token, UserSettings, Zone};
use crate::shell::provider::Provider;

/// How the API is offered to requests that come from now on.
#[derive(Debug, Clone)]
pub struct LiveOptions {
    /// The token that opens the API. It never prints; browsers that use WebSockets need one that can stand in a
    /// subprotocol's name (letters, digits, `-._~+`).
    pub token: Token,
    /// The tokens of machines that see one tenant's calls, by name.
    pub tokens: BTreeMap<String, TenantToken>,
    /// Who may sign in to the console.
    pub users: BTreeMap<String, UserSettings>,
    /// The folder of the prompts that may be played by order.
    pub prompts: PathBuf,
    /// Whose tones callers are used to.
    pub tones: Region,
    /// The time zone of reports.
    pub zone: Zone,
    /// The files that operators edit.
    pub libraries: Libraries,
    /// The addresses of targets by their names: who answers there serves the call.
    pub agents: BTreeMap<String, String>,
    /// Origins whose pages may show the agents' page in a frame.
    pub frame_ancestors: Vec<String>,
    /// Where people sign in besides.
    pub oidc: Option<Arc<Provider>>,
    /// The font of printed reports; one of the system when nothing is said.
    pub report_font: Option<PathBuf>,
    /// Where the store's master key comes from, where there is a store.
    pub master_key: Option<MasterKeySource>,
    /// The folder of the store, where there is one.
    pub store_folder: Option<PathBuf>,
}

impl LiveOptions {
    /// As the settings have it, opened by this token alone; nobody signs in elsewhere.
    pub fn of(settings: &Settings, token: Token) -> Self {
        Self {
            token,
            tokens: BTreeMap::new(),
            users: settings.users.clone(),
            prompts: settings.policy.prompts.clone(),
            tones: settings.media.tones,
            zone: settings.policy.zone.clone().unwrap_or_else(Zone::utc),
            libraries: Libraries::of(settings),
            agents: settings.targets.iter().map(|(name, target)| (name.clone(), target.uri.clone())).collect(),
            frame_ancestors: settings.web.as_ref().map_or_else(Vec::new, |web| web.frame_ancestors.clone()),
            oidc: None,
            report_font: settings.report_font.clone(),
            master_key: settings.store.as_ref().map(|store| store.master_key.clone()),
            store_folder: settings.store.as_ref().map(|store| store.folder.clone()),
        }
    }
}

/// The token of a machine that sees one tenant's calls.
#[derive(Debug, Clone)]
pub struct TenantToken {
    /// Whose calls.
    pub tenant: String,
    /// The token. It never prints.
    pub token: Token,
    /// Cancelled when it opens nothing any more.
    pub ended: CancellationToken,
}

impl TenantToken {
    /// Whether it is the same token for the same tenant.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.tenant == other.tenant && self.token.matches(other.token.reveal())
    }
}

/// What requests of one time meet.
pub(super) struct Live {
    pub(super) gate: Gate,
    /// Machines that see one tenant's calls, each by its token.
    tenants: Vec<(Gate, Who)>,
    pub(super) users: BTreeMap<String, UserSettings>,
    pub(super) prompts: Arc<PromptFolder>,
    pub(super) tones: Region,
    pub(super) zone: Zone,
    pub(super) libraries: Libraries,
    pub(super) agents: BTreeMap<String, String>,
    /// Who answers at these addresses, where that is said.
    pub(super) desks: BTreeMap<String, Party>,
    /// Whose calls are whose, by users' names.
    pub(super) claims: BTreeMap<String, Claim>,
    pub(super) frame_ancestors: Vec<String>,
    pub(super) oidc: Option<Arc<Provider>>,
    pub(super) report_font: Option<PathBuf>,
    pub(super) master_key: Option<MasterKeySource>,
    pub(super) store_folder: Option<PathBuf>,
}

impl Live {
    /// What requests meet from now on, where these may sign in.
    pub(super) fn new(options: &LiveOptions, users: BTreeMap<String, UserSettings>) -> Result<Self, WebError> {
        let machine =
            |(name, token): (&String, &TenantToken)| Ok((Gate::new(&token.token)?, Who::of_tenant(name, token)));
        let tenants = options.tokens.iter().map(machine).collect::<Result<_, WebError>>()?;
        let serving = users.iter().filter_map(|(name, user)| Some((name, user.serves.as_deref()?)));
        let claims = serving.map(|(name, serves)| (name.clone(), Claim::of(serves, &options.agents))).collect();
        Ok(Self {
            gate: Gate::new(&options.token)?,
            tenants,
            users,
            prompts: Arc::new(PromptFolder::new(options.prompts.clone())),
            tones: options.tones,
            zone: options.zone.clone(),
            libraries: options.libraries.clone(),
            agents: options.agents.clone(),
            desks: parties(&options.agents),
            claims,
            frame_ancestors: options.frame_ancestors.clone(),
            oidc: options.oidc.clone(),
            report_font: options.report_font.clone(),
            master_key: options.master_key.clone(),
            store_folder: options.store_folder.clone(),
        })
    }

    /// The machine with a tenant's token whose request this is.
    pub(super) fn machine(&self, headers: &HeaderMap) -> Option<Who> {
        self.tenants.iter().find(|(gate, _)| gate.admits(headers)).map(|(_, who)| who.clone())
    }

    /// The machine with a tenant's token that is called so.
    pub(super) fn machine_named(&self, name: &str) -> Option<Who> {
        self.tenants.iter().find(|(_, who)| who.name() == name).map(|(_, who)| who.clone())
    }
}
