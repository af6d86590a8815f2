//! Sessions of people who signed in: by a random number that only their browser knows, of which only the hash is here.
//!
//! Pure: whoever asks says what time it is. A session ends when nobody uses it, when it is old, and when the user's entry in
//! the configuration goes or has another password or second factor.

mod site;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use tokio_util::sync::CancellationToken;

use crate::hexadecimal::sha256;
use crate::pii::Pii;
use crate::settings::UserSettings;
pub(super) use site::{News, Now, lapsed};

/// How long a session lasts that nobody uses, and at most.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
pub(super) const AGE_MAX: Duration = Duration::from_secs(12 * 3_600);
/// Sessions at a time, and of one user; at the limit, the one that was not used for longest ends.
const SESSIONS_MAX: usize = 1_000;
const SESSIONS_OF_ONE_MAX: usize = 32;
/// Wrong passwords in a row from which on a user is locked out, for how long at first, and at most; twice as long each time.
const WRONG_MAX: u32 = 5;
const LOCKED_FIRST: Duration = Duration::from_secs(30);
const LOCKED_MAX: Duration = Duration::from_secs(15 * 60);
/// Who was not wrong for so long begins anew.
const FORGIVEN_AFTER: Duration = Duration::from_secs(3_600);
/// Names whose wrong passwords are counted; at the limit one that is not locked out and was wrong least often is forgotten.
const SUSPECTS_MAX: usize = 1_000;

/// The hash of a session's number.
type Name = [u8; 32];

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: HashMap<Name, Session>,
    suspects: HashMap<String, Suspect>,
    /// Of each user who has signed in with a code, the time that the last one was of; no more than there are users.
    codes: HashMap<String, u64>,
    /// Those that are over, of which other nodes of the site still have to be told.
    gone: Vec<Name>,
}

#[derive(Debug)]
struct Session {
    user: String,
    /// As it was at the sign-in.
    settings: UserSettings,
    began: Duration,
    used: Duration,
    /// Cancelled when it ends, or the user is something else: what it has open ends then, too.
    ended: CancellationToken,
    shown: Shown,
    /// The OpenID provider's word for it, where it began there.
    id_token: Option<Pii<String>>,
    /// When it was used last as far as other nodes of the site know, if they know of it.
    told: Option<Duration>,
}

/// The calls that somebody was shown last in a session; clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown(Arc<Mutex<Option<BTreeSet<String>>>>);

impl Shown {
    /// Takes note of calls that are shown now: those that were not the last time. One without a name when it is the first time, and
    /// there are none.
    pub(super) fn first(&self, now: BTreeSet<String>) -> Vec<String> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = match &*last {
            Some(last) => now.difference(last).cloned().collect(),
            None if now.is_empty() => vec![String::new()],
            None => now.iter().cloned().collect(),
        };
        *last = Some(now);
        first
    }
}

/// Whose session it is.
pub(super) struct Known<'a> {
    pub(super) user: String,
    pub(super) settings: &'a UserSettings,
    pub(super) ended: CancellationToken,
    pub(super) shown: Shown,
}

#[derive(Debug)]
struct Suspect {
    wrong: u32,
    last: Duration,
    locked_until: Duration,
}

/// 256 bits by chance, as a cookie or an address can carry them.
///
/// # Errors
/// When the system gives no random numbers.
pub(super) fn by_chance() -> Result<String, &'static str> {
    let mut octets = [0; 32];
    SystemRandom::new().fill(&mut octets).map_err(|_| "the system gives no random numbers")?;
    Ok(URL_SAFE_NO_PAD.encode(octets))
}

impl Sessions {
    /// How long a user is still locked out.
    pub(super) fn locked(&self, user: &str, now: Duration) -> Option<Duration> {
        self.suspects.get(user).and_then(|suspect| suspect.locked_until.checked_sub(now)).filter(|left| !left.is_zero())
    }

    /// Counts a wrong password; whether it locks the user out.
    pub(super) fn wrong(&mut self, user: &str, now: Duration) -> bool {
        if self.suspects.len() >= SUSPECTS_MAX && !self.suspects.contains_key(user) {
            let weight = |suspect: &Suspect| (suspect.locked_until > now, suspect.wrong, suspect.last);
            let least = self.suspects.iter().min_by_key(|(_, suspect)| weight(suspect)).map(|(user, _)| user.clone());
            if let Some(user) = least {
                self.suspects.remove(&user);
            }
        }
        let fresh = Suspect { wrong: 0, last: now, locked_until: Duration::ZERO };
        let suspect = self.suspects.entry(user.to_owned()).or_insert(fresh);
        if now.saturating_sub(suspect.last.max(suspect.locked_until)) >= FORGIVEN_AFTER {
            suspect.wrong = 0;
        }
        suspect.wrong = suspect.wrong.saturating_add(1);
        suspect.last = now;
        if let Some(beyond) = suspect.wrong.checked_sub(WRONG_MAX) {
            let times = 1_u32.checked_shl(beyond).unwrap_or(u32::MAX);
            suspect.locked_until = now + LOCKED_FIRST.saturating_mul(times).min(LOCKED_MAX);
        }
        suspect.wrong >= WRONG_MAX
    }

    /// Takes a user's code by the time that it is of; false when it, or a later one, was taken before.
    pub(super) fn take_code(&mut self, user: &str, step: u64) -> bool {
        let is_new = self.codes.get(user).is_none_or(|last| step > *last);
        if is_new {
            self.codes.insert(user.to_owned(), step);
        }
        is_new
    }

    /// Begins a session, by the token of a provider's where one lets in: the number for the browser.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(super) fn begin(
        &mut self,
        user: &str,
        settings: UserSettings,
        id_token: Option<String>,
        now: Duration,
    ) -> Result<String, &'static str> {
        let number = by_chance()?;
        self.suspects.remove(user);
        self.make_room(user);
        let ended = CancellationToken::new();
        let shown = Shown::default();
        let (user, id_token) = (user.to_owned(), id_token.map(Pii::from));
        let session = Session { user, settings, began: now, used: now, ended, shown, id_token, told: None };
        self.sessions.insert(name_of(&number), session);
        Ok(number)
    }

    /// Ends a session of somebody's, or another one, where there are as many as there may be.
    fn make_room(&mut self, user: &str) {
        let is_own = |session: &Session| session.user == user;
        let own = self.sessions.values().filter(|session| is_own(session)).count();
        if own >= SESSIONS_OF_ONE_MAX {
            self.end_unused(is_own);
        } else if self.sessions.len() >= SESSIONS_MAX {
            self.end_unused(|_| true);
        }
    }

    /// Whose session it is, while it lasts; it was used then.
    pub(super) fn user<'a>(
        &mut self,
        number: &str,
        users: impl Fn(&str) -> Option<&'a UserSettings>,
        now: Duration,
    ) -> Option<Known<'a>> {
        let name = name_of(number);
        self.look(&name, &users, now);
        let session = self.sessions.get_mut(&name)?;
        let settings = users(&session.user)?;
        session.used = now;
        let (ended, shown) = (session.ended.clone(), session.shown.clone());
        Some(Known { user: session.user.clone(), settings, ended, shown })
    }

    /// Ends a session; the OpenID provider's word for it, where it began there.
    pub(super) fn end(&mut self, number: &str) -> Option<Pii<String>> {
        self.remove(&name_of(number))?.id_token
    }

    /// Ends what does not last any longer, and what is open of users who are something else now.
    pub(super) fn sweep<'a>(&mut self, users: impl Fn(&str) -> Option<&'a UserSettings>, now: Duration) {
        self.codes.retain(|user, _| users(user).is_some());
        let names: Vec<Name> = self.sessions.keys().copied().collect();
        names.iter().for_each(|name| self.look(name, &users, now));
    }

    /// Ends one session when it is old, unused, or its user is gone, signs in by something else now, or is another subject of a
    /// provider's.
    fn look<'a>(&mut self, name: &Name, users: &impl Fn(&str) -> Option<&'a UserSettings>, now: Duration) {
        let Some(session) = self.sessions.get_mut(name) else { return };
        let before = &session.settings;
        let is_same = |known: &&UserSettings| known.password == before.password && known.totp == before.totp;
        let known = users(&session.user).filter(is_same);
        let Some(known) = known.filter(|_| session.lasts(now)) else { return drop(self.remove(name)) };
        let is_otherwise = known.role != before.role || known.routes != before.routes || known.tenant != before.tenant;
        if is_otherwise {
            session.settings = known.clone();
            std::mem::take(&mut session.ended).cancel();
        }
    }

    /// Ends the one of these that was not used for longest.
    fn end_unused(&mut self, among: impl Fn(&Session) -> bool) {
        let these = self.sessions.iter().filter(|(_, session)| among(session));
        let unused = these.min_by_key(|(_, session)| session.used).map(|(name, _)| *name);
        if let Some(name) = unused {
            self.remove(&name);
        }
    }

    fn remove(&mut self, name: &Name) -> Option<Session> {
        let session = self.sessions.remove(name)?;
        session.ended.cancel();
        self.note_gone(*name, &session);
        Some(session)
    }
}

impl Session {
    fn lasts(&self, now: Duration) -> bool {
        now.saturating_sub(self.used) < IDLE_MAX && now.saturating_sub(self.began) < AGE_MAX
    }
}

/// What a session is known by to whoever must not have its number.
pub(super) fn name_of(number: &str) -> Name {
    sha256(number.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::{PasswordDigest, Role};

    const MINUTE: Duration = Duration::from_secs(60);

    fn user(role: Role, password: &str) -> UserSettings {
        UserSettings {
            role,
            password: PasswordDigest::of(password).expect("random numbers"),
            serves: None,
            totp: None,
            routes: None,
            tenant: None,
        }
    }

    #[test]
    fn a_session_ends_unused_old_signed_out_or_with_another_password() {
        let (li, mut sessions) = (user(Role::Supervisor, "a long password"), Sessions::default());
        let is_in = |sessions: &mut Sessions, number: &str, known: Option<&UserSettings>, now| {
            sessions.user(number, |name| known.filter(|_| name == "li"), now).is_some()
        };
        let number = sessions.begin("li", li.clone(), None, MINUTE).expect("random numbers");
        assert!(number.len() >= 43, "256 bits");
        assert!(is_in(&mut sessions, &number, Some(&li), 30 * MINUTE));
        assert!(is_in(&mut sessions, &number, Some(&li), 59 * MINUTE), "it was used meanwhile");
        assert!(!is_in(&mut sessions, &number, Some(&li), 89 * MINUTE), "unused for half an hour");

        let number = sessions.begin("li", li.clone(), None, MINUTE).expect("random numbers");
        for minute in (1..721).step_by(20) {
            assert!(is_in(&mut sessions, &number, Some(&li), minute * MINUTE), "{minute}");
        }
        assert!(!is_in(&mut sessions, &number, Some(&li), 721 * MINUTE), "old");

        let number = sessions.begin("li", li.clone(), None, MINUTE).expect("random numbers");
        sessions.end(&number);
        assert!(!is_in(&mut sessions, &number, Some(&li), MINUTE), "signed out");
        let number = sessions.begin("li", li.clone(), None, MINUTE).expect("random numbers");
        let demoted = UserSettings { role: Role::Operator, ..li.clone() };
        let open = sessions.user(&number, |_| Some(&li), MINUTE).expect("it lasts").ended;
        let now = sessions.user(&number, |_| Some(&demoted), MINUTE).expect("the same password");
        assert_eq!(now.settings.role, Role::Operator, "a role acts at once");
        assert!(open.is_cancelled() && !now.ended.is_cancelled(), "what was open ends");
        sessions.sweep(|_| Some(&demoted), MINUTE);
        assert!(!now.ended.is_cancelled());
        sessions.sweep(|_| Some(&demoted), 31 * MINUTE);
        assert!(now.ended.is_cancelled() && sessions.sessions.is_empty(), "unused");
        let number = sessions.begin("li", li.clone(), None, MINUTE).expect("random numbers");
        let of_acme = UserSettings { tenant: Some("acme".to_owned()), ..li.clone() };
        let open = sessions.user(&number, |_| Some(&li), MINUTE).expect("it lasts").ended;
        let now = sessions.user(&number, |_| Some(&of_acme), MINUTE).expect("the same password");
        assert!(open.is_cancelled() && !now.ended.is_cancelled(), "another tenant's calls are others");
        let number = sessions.begin("li", li.clone(), None, MINUTE).expect("random numbers");
        assert!(!is_in(&mut sessions, &number, Some(&user(Role::Supervisor, "a long password")), MINUTE));
        let number = sessions.begin("li", li.clone(), None, MINUTE).expect("random numbers");
        assert!(!is_in(&mut sessions, &number, None, MINUTE), "the user is gone");
        assert!(!is_in(&mut sessions, "", Some(&li), MINUTE) && !is_in(&mut sessions, "x", Some(&li), MINUTE));
    }

    #[test]
    fn wrong_passwords_lock_a_user_out_for_longer_and_longer() {
        let mut sessions = Sessions::default();
        for _ in 0..WRONG_MAX - 1 {
            sessions.wrong("li", MINUTE);
        }
        assert_eq!(sessions.locked("li", MINUTE), None);
        for seconds in [30, 60, 120, 240, 480, 900, 900] {
            sessions.wrong("li", MINUTE);
            assert_eq!(sessions.locked("li", MINUTE), Some(Duration::from_secs(seconds)));
        }
        assert_eq!(sessions.locked("li", 16 * MINUTE), None);
        sessions.wrong("li", 70 * MINUTE);
        assert!(sessions.locked("li", 70 * MINUTE).is_some(), "not an hour yet");
        sessions.wrong("li", 170 * MINUTE);
        assert_eq!(sessions.locked("li", 170 * MINUTE), None, "forgiven");
        assert_eq!(sessions.locked("wang", MINUTE), None);
        sessions.begin("li", user(Role::Supervisor, "a long password"), None, 16 * MINUTE).expect("random numbers");
        sessions.wrong("li", 17 * MINUTE);
        assert_eq!(sessions.locked("li", 17 * MINUTE), None, "whoever knew it begins anew");
    }

    #[test]
    fn a_code_counts_once_and_none_before_it() {
        let mut sessions = Sessions::default();
        assert!(sessions.take_code("li", 100) && sessions.take_code("wang", 100));
        assert!(!sessions.take_code("li", 100) && !sessions.take_code("li", 99) && sessions.take_code("li", 101));
        let li = user(Role::Supervisor, "a long password");
        sessions.sweep(|name| (name == "li").then_some(&li), MINUTE);
        assert_eq!(sessions.codes.len(), 1, "wang is gone");
    }

    #[test]
    fn names_that_are_made_up_do_not_unlock_anybody() {
        let mut sessions = Sessions::default();
        for _ in 0..WRONG_MAX {
            sessions.wrong("li", MINUTE);
        }
        for number in 0..2 * SUSPECTS_MAX {
            sessions.wrong(&format!("nobody {number}"), MINUTE + Duration::from_millis(number as u64));
        }
        assert!(sessions.locked("li", MINUTE).is_some());
        assert_eq!(sessions.suspects.len(), SUSPECTS_MAX);
    }

    #[test]
    fn sessions_and_suspects_are_bounded() {
        let (li, mut sessions) = (user(Role::Supervisor, "a long password"), Sessions::default());
        let numbers: Vec<String> = (0..=SESSIONS_MAX)
            .map(|second| {
                let now = Duration::from_secs(second as u64);
                sessions.wrong(&format!("user {second}"), now);
                sessions.begin(&format!("li {second}"), li.clone(), None, now).expect("random numbers")
            })
            .collect();
        let now = Duration::from_secs(1_000);
        assert!(sessions.user(&numbers[0], |_| Some(&li), now).is_none(), "unused for longest");
        assert!(sessions.user(&numbers[SESSIONS_MAX], |_| Some(&li), now).is_some());
        assert_eq!((sessions.sessions.len(), sessions.suspects.len()), (SESSIONS_MAX, SUSPECTS_MAX));
    }

    #[test]
    fn whoever_signs_in_often_ends_sessions_of_their_own_alone() {
        let (li, mut sessions) = (user(Role::Supervisor, "a long password"), Sessions::default());
        let wang = sessions.begin("wang", li.clone(), None, Duration::ZERO).expect("random numbers");
        let numbers: Vec<String> = (1..=SESSIONS_MAX)
            .map(|second| {
                let now = Duration::from_secs(second as u64);
                sessions.begin("li", li.clone(), None, now).expect("random numbers")
            })
            .collect();
        let now = Duration::from_secs(1_000);
        assert_eq!(sessions.sessions.len(), 1 + SESSIONS_OF_ONE_MAX);
        assert!(sessions.user(&wang, |_| Some(&li), now).is_some(), "it was not used for longest");
        let left = |number: &&String| sessions.sessions.contains_key(&name_of(number));
        let own: Vec<&String> = numbers.iter().filter(left).collect();
        assert_eq!(own, numbers[SESSIONS_MAX - SESSIONS_OF_ONE_MAX..].iter().collect::<Vec<_>>(), "the last ones");
    }
}
