//! Sessions of a site: what other nodes are told of those that are here, and what is made of what they tell.
//!
//! Pure. Sessions of whom a provider has let in are this node's alone: at another one the provider lets them in again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Name, SESSIONS_MAX, Session, Sessions, Shown, name_of};
use crate::hexadecimal::sha256;
use crate::settings::UserSettings;
use crate::store::SiteSession;

/// How much later a session was used than was told before it is told again.
const USED_EVERY: Duration = Duration::from_secs(60);

/// What other nodes are to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct News {
    /// Sessions that have begun.
    pub(in super::super) begun: Vec<SiteSession>,
    /// Those that they know, and that were used since: one that another node has ended meanwhile does not come back.
    pub(in super::super) used: Vec<SiteSession>,
    /// Those that are over.
    pub(in super::super) gone: Vec<[u8; 32]>,
}

/// The same moment by the clock by which sessions last here, and by everybody's.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Now {
    /// Since this node's sessions began to be counted.
    pub(in super::super) here: Duration,
    /// Since 1970.
    pub(in super::super) everywhere: Duration,
}

impl Now {
    /// When something was by everybody's clock that was then by the one here, milliseconds.
    fn told(self, then: Duration) -> u64 {
        let ago = self.here.saturating_sub(then);
        u64::try_from(self.everywhere.saturating_sub(ago).as_millis()).unwrap_or(u64::MAX)
    }

    /// The other way round. Clocks may differ a little: nothing is later than now.
    fn heard(self, then: u64) -> Duration {
        self.here.saturating_sub(self.everywhere.saturating_sub(Duration::from_millis(then)))
    }
}

impl Sessions {
    /// Whether a session of that number is here.
    pub(in super::super) fn knows(&self, number: &str) -> bool {
        self.sessions.contains_key(&name_of(number))
    }

    /// Takes in a session that began at another node; not one of somebody who is nobody here, or has another password now.
    pub(in super::super) fn adopt<'a>(
        &mut self,
        told: &SiteSession,
        users: impl Fn(&str) -> Option<&'a UserSettings>,
        now: Now,
    ) {
        let known = users(&told.user).filter(|settings| means(settings) == told.means);
        let Some(settings) = known.filter(|_| !self.sessions.contains_key(&told.name)) else { return };
        let session = Session {
            user: told.user.clone(),
            settings: settings.clone(),
            began: now.heard(told.began),
            used: now.heard(told.used),
            ended: CancellationToken::new(),
            shown: Shown::default(),
            id_token: None,
            told: Some(now.heard(told.used)),
        };
        if session.lasts(now.here) {
            self.make_room(&told.user);
            self.sessions.insert(told.name, session);
        }
    }

    /// What other nodes do not know yet.
    pub(in super::super) fn news(&self, now: Now) -> News {
        let is_new = |session: &Session| session.told.is_none_or(|told| session.used >= told + USED_EVERY);
        let told = |(name, session): (&Name, &Session)| SiteSession {
            name: *name,
            user: session.user.clone(),
            means: means(&session.settings),
            began: now.told(session.began),
            used: now.told(session.used),
        };
        let own = self.sessions.iter().filter(|(_, session)| session.settings.password.is_hash());
        let (begun, used): (Vec<_>, Vec<_>) =
            own.filter(|(_, session)| is_new(session)).partition(|(_, session)| session.told.is_none());
        let all_told = |sessions: Vec<_>| sessions.into_iter().map(told).collect();
        News { begun: all_told(begun), used: all_told(used), gone: self.gone.clone() }
    }

    /// They know it now.
    pub(in super::super) fn told(&mut self, news: &News, now: Now) {
        for told in news.begun.iter().chain(&news.used) {
            if let Some(session) = self.sessions.get_mut(&told.name) {
                session.told = Some(now.heard(told.used));
            }
        }
        self.gone.retain(|name| !news.gone.contains(name));
    }

    /// Makes these sessions what all nodes have told of them: used where they were used last, and over where they ended. What was
    /// not told before `since` cannot be missed.
    pub(in super::super) fn hear(&mut self, all: &[SiteSession], since: Duration, now: Now) {
        let all: BTreeMap<&Name, &SiteSession> = all.iter().map(|told| (&told.name, told)).collect();
        let mut over = Vec::new();
        for (name, session) in &mut self.sessions {
            match all.get(name) {
                Some(told) => {
                    let used = now.heard(told.used);
                    session.used = session.used.max(used);
                    session.told = session.told.max(Some(used));
                }
                None if session.told.is_some() && session.began < since => over.push(*name),
                None => {}
            }
        }
        for name in over {
            self.remove(&name);
            self.gone.retain(|gone| *gone != name);
        }
    }

    /// Takes note of one that is over, for other nodes; the oldest are forgotten where those are not told for long.
    pub(super) fn note_gone(&mut self, name: Name, session: &Session) {
        if session.told.is_some() {
            if self.gone.len() >= SESSIONS_MAX {
                self.gone.remove(0);
            }
            self.gone.push(name);
        }
    }
}

/// Those of all that do not last any more, wherever they began.
pub(in super::super) fn lapsed(all: &[SiteSession], now: Duration) -> Vec<[u8; 32]> {
    let ago = |then: u64| now.saturating_sub(Duration::from_millis(then));
    let is_over =
        |told: &&SiteSession| ago(told.used) >= super::IDLE_MAX + USED_EVERY || ago(told.began) >= super::AGE_MAX;
    all.iter().filter(is_over).map(|told| told.name).collect()
}

/// What somebody signs in by, in which nothing can be read.
fn means(settings: &UserSettings) -> [u8; 32] {
    let totp = settings.totp.as_ref().map(|secret| secret.fingerprint()).unwrap_or_default();
    sha256(&[settings.password.as_str().as_bytes(), &[0], &totp].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::{PasswordDigest, Role};
    use crate::web::sessions::{AGE_MAX, IDLE_MAX};

    const MINUTE: Duration = Duration::from_secs(60);

    /// Two nodes, of which the second was started half an hour later, and everybody's clock.
    struct Two {
        nodes: [Sessions; 2],
        all: Vec<SiteSession>,
        li: UserSettings,
    }

    impl Two {
        fn new() -> Self {
            let password = PasswordDigest::of("correct horse").expect("random numbers");
            let li =
                UserSettings { role: Role::Supervisor, password, serves: None, totp: None, routes: None, tenant: None };
            Self { nodes: Default::default(), all: Vec::new(), li }
        }

        fn now(node: usize, at: Duration) -> Now {
            let here = AGE_MAX + at - if node == 1 { MINUTE * 30 } else { Duration::ZERO };
            Now { here, everywhere: Duration::from_secs(1_700_000_000) + at }
        }

        /// What a node does every few seconds.
        fn exchange(&mut self, node: usize, at: Duration) {
            let now = Self::now(node, at);
            let news = self.nodes[node].news(now);
            for told in &mut self.all {
                if let Some(used) = news.used.iter().find(|used| used.name == told.name) {
                    told.clone_from(used);
                }
            }
            self.all.retain(|told| !news.gone.contains(&told.name));
            self.all.extend(news.begun.iter().cloned());
            self.nodes[node].told(&news, now);
            self.nodes[node].hear(&self.all, now.here, now);
            let lapsed = lapsed(&self.all, now.everywhere);
            self.all.retain(|told| !lapsed.contains(&told.name));
        }

        fn is_in(&mut self, node: usize, number: &str, at: Duration) -> bool {
            let now = Self::now(node, at);
            let (sessions, li) = (&mut self.nodes[node], &self.li);
            if !sessions.knows(number)
                && let Some(told) = self.all.iter().find(|told| told.name == name_of(number))
            {
                sessions.adopt(told, |name| (name == "li").then_some(li), now);
            }
            sessions.user(number, |name| (name == "li").then_some(li), now.here).is_some()
        }

        fn sign_in(&mut self, at: Duration) -> String {
            let number =
                self.nodes[0].begin("li", self.li.clone(), None, Self::now(0, at).here).expect("random numbers");
            self.exchange(0, at);
            number
        }
    }

    #[test]
    fn whoever_is_signed_in_at_one_node_is_at_all_until_they_sign_out() {
        let mut two = Two::new();
        let at = MINUTE * 40;
        let number = two.sign_in(at);
        assert!(two.is_in(1, &number, at), "before it has asked by itself");
        assert!(!two.is_in(1, "another", at));
        two.exchange(1, at);
        two.nodes[1].end(&number);
        two.exchange(1, at + MINUTE);
        two.exchange(0, at + MINUTE);
        assert!(!two.is_in(0, &number, at + MINUTE) && two.all.is_empty(), "signed out at the other one");
    }

    #[test]
    fn whoever_has_signed_out_does_not_come_back_by_what_another_node_tells_of_their_last_request() {
        let mut two = Two::new();
        let (at, later) = (MINUTE * 40, MINUTE * 40 + USED_EVERY + Duration::from_secs(1));
        let number = two.sign_in(at);
        assert!(two.is_in(1, &number, at) && two.is_in(1, &number, later), "so that the second node tells of it");
        two.nodes[0].end(&number);
        [0, 1].into_iter().for_each(|node| two.exchange(node, later));
        assert!(two.all.is_empty() && !two.is_in(1, &number, later), "signed out");
        assert!(!two.is_in(0, &number, later));
    }

    #[test]
    fn what_others_tell_of_a_session_is_not_told_again_nor_begun_anew() {
        let mut two = Two::new();
        let (at, later) = (MINUTE * 40, MINUTE * 42);
        let number = two.sign_in(at);
        // Whether it was written down is not known to the first node.
        two.nodes[0].sessions.values_mut().for_each(|session| session.told = None);
        assert!(two.is_in(1, &number, later));
        two.exchange(1, later);
        two.nodes[0].hear(&two.all, Two::now(0, later).here, Two::now(0, later));
        assert_eq!(two.nodes[0].news(Two::now(0, later)), News::default());
    }

    #[test]
    fn it_lasts_as_long_as_it_is_used_anywhere_and_no_longer_than_any() {
        let mut two = Two::new();
        let (mut at, number) = (MINUTE * 40, two.sign_in(MINUTE * 40));
        let first = at;
        while at < first + AGE_MAX - MINUTE * 5 {
            assert!(two.is_in(1, &number, at), "{at:?}");
            [1, 0].into_iter().for_each(|node| two.exchange(node, at));
            at += MINUTE * 5;
        }
        assert!(two.is_in(0, &number, at), "used at the other node alone");
        assert!(!two.is_in(1, &number, first + AGE_MAX), "it is old there as well");
        let (at, number) = (MINUTE * 900, two.sign_in(MINUTE * 900));
        assert!(two.is_in(1, &number, at));
        [0, 1].into_iter().for_each(|node| two.exchange(node, at + IDLE_MAX + MINUTE * 2));
        assert!(!two.is_in(1, &number, at + IDLE_MAX + MINUTE * 2) && two.all.is_empty(), "nobody used it");
    }

    #[test]
    fn another_password_ends_it_everywhere() {
        let mut two = Two::new();
        let (at, number) = (MINUTE * 40, two.sign_in(MINUTE * 40));
        two.li.password = PasswordDigest::of("battery staple").expect("random numbers");
        assert!(!two.is_in(1, &number, at) && !two.is_in(0, &number, at));
    }

    #[test]
    fn whom_a_provider_let_in_is_in_at_one_node() {
        let mut two = Two::new();
        two.li.password = PasswordDigest::of_subject("https://id.example", "4711");
        let (at, number) = (MINUTE * 40, two.sign_in(MINUTE * 40));
        assert!(two.is_in(0, &number, at) && two.all.is_empty() && !two.is_in(1, &number, at));
    }
}
