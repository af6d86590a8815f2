//! Digests against the examples of the RFCs, and what a far end may not get away with.

use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(1_000);

#[test]
fn examples_of_rfc_7616() {
    // §3.9.1: the body of the request does not matter with qop auth.
    let who = Credentials { user: "Mufasa".into(), password: "Circle of Life".into() };
    let subject = Subject { method: "GET", uri: "/dir/index.html" };
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let challenge = Challenge::parse(&format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        ));
        let answer =
            challenge.expect("a challenge").answer(&who, subject, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ");
        assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
        assert!(answer.contains("opaque=\"FQhe/") && answer.contains(", qop=auth, nc=00000001, "), "{answer}");
    }
}

#[test]
fn example_of_rfc_2617_without_qop() {
    let challenge =
        Challenge::parse("Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"");
    let who = Credentials { user: "Mufasa".into(), password: "Circle Of Life".into() };
    let answer = challenge.expect("a challenge").answer(&who, Subject { method: "GET", uri: "/dir/index.html" }, "x");
    assert!(answer.contains("response=\"670fd8c2df070c60b045671b8b24ff02\"") && !answer.contains("qop"), "{answer}");
}

#[test]
fn both_sides_agree() {
    for algorithm in Algorithm::ALL {
        let mut stand = Stand::new(&[algorithm]);
        let answer = stand.answer("secret", NOW);
        assert_eq!(stand.judge(NOW, &answer), Judgement::Proven, "{answer}");
        assert_eq!(stand.judge(NOW, &answer), Judgement::Stale, "a replay");
    }
}

#[test]
fn best_algorithm_first_and_the_first_that_is_spoken() {
    let stand = Stand::new(&Algorithm::ALL);
    let values = stand.verifier.challenge(NOW, stand.demand(), 1, true);
    assert_eq!(values.len(), 3);
    assert!(values[0].contains("algorithm=SHA-512-256") && values[2].contains("algorithm=MD5"), "{values:?}");
    let mut heard = vec!["Digest realm=\"x\", nonce=\"y\", algorithm=SHA-3"];
    heard.extend(values.iter().map(String::as_str));
    let first = Challenge::first(heard.into_iter()).expect("one is spoken");
    assert_eq!((first.algorithm, first.stale), (Algorithm::Sha512_256, true));
}

#[test]
fn what_is_not_taken() {
    let mut stand = Stand::new(&[Algorithm::Sha256]);
    let right = stand.answer("secret", NOW);
    for (wrong, why) in [
        (stand.answer("guess", NOW), Judgement::Wrong("a wrong digest")),
        (right.replace("alice", "bob"), Judgement::Wrong("another user or realm")),
        (right.replace("SHA-256", "MD5"), Judgement::Wrong("an algorithm that was not offered")),
        (right.replace("nc=00000001", "nc=1"), Judgement::Wrong("no nonce count")),
        (right.replace("qop=auth, ", ""), Judgement::Wrong("a digest without uri or qop")),
        (right.replace("sip:4000@us", "sip:4001@us"), Judgement::Wrong("a wrong digest")),
        (right.replace("Digest", "Basic"), Judgement::Wrong("unreadable credentials")),
        (format!("{right}, nc=00000002"), Judgement::Wrong("unreadable credentials")),
        (String::new(), Judgement::Wrong("unreadable credentials")),
    ] {
        assert_eq!(stand.judge(NOW, &wrong), why, "{wrong}");
    }
    assert_eq!(stand.judge(NOW + NONCE_LIFE + Duration::from_millis(1), &right), Judgement::Stale);
    let other = Stand { verifier: Verifier::new(&[9; 32]), ..Stand::new(&[Algorithm::Sha256]) };
    let forged = other.answer("secret", NOW);
    assert_eq!(stand.judge(NOW, &forged), Judgement::Stale, "a nonce of somebody else");
    assert_eq!(stand.judge(NOW, &right), Judgement::Proven);
}

#[test]
fn a_nonce_that_was_forgotten_cannot_be_used_again() {
    let mut stand = Stand::new(&[Algorithm::Md5]);
    let first = stand.answer("secret", NOW);
    assert_eq!(stand.judge(NOW, &first), Judgement::Proven);
    let later = NOW + Duration::from_secs(1);
    for salt in 0..NONCES_MAX as u64 + 2 {
        stand.salt = salt;
        let answer = stand.answer("secret", later);
        let _ = stand.judge(later, &answer);
        assert!(stand.verifier.used.len() <= NONCES_MAX);
    }
    assert_eq!(stand.judge(later, &first), Judgement::Stale);
}

proptest! {
    /// Nothing that comes from outside makes a reader panic, and what is quoted comes back as it was.
    #[test]
    fn any_text_is_read(text in "\\PC{0,200}", name in "[ -~]{0,40}") {
        let _ = Challenge::parse(&text);
        let _ = Challenge::parse(&format!("Digest {text}"));
        let mut stand = Stand::new(&Algorithm::ALL);
        prop_assert_ne!(stand.judge(NOW, &format!("Digest {text}")), Judgement::Proven);
        let value = format!("Digest username={}, x=y", quoted(&name));
        prop_assert_eq!(user_of(&value), Some(name));
    }
}

struct Stand {
    verifier: Verifier,
    who: Credentials,
    algorithms: Vec<Algorithm>,
    salt: u64,
}

impl Stand {
    fn new(algorithms: &[Algorithm]) -> Self {
        let who = Credentials { user: "alice".into(), password: "secret".into() };
        Self { verifier: Verifier::new(&[7; 32]), who, algorithms: algorithms.to_vec(), salt: 5 }
    }

    fn demand(&self) -> Demand<'_> {
        Demand { realm: "calm", who: &self.who, algorithms: &self.algorithms }
    }

    /// What a far end with `password` answers to a challenge made at `made`.
    fn answer(&self, password: &str, made: Duration) -> String {
        let values = self.verifier.challenge(made, self.demand(), self.salt, false);
        let challenge = Challenge::first(values.iter().map(String::as_str)).expect("a challenge of ours");
        let who = Credentials { user: "alice".into(), password: password.into() };
        challenge.answer(&who, Subject { method: "INVITE", uri: "sip:4000@us" }, "cnonce")
    }

    fn judge(&mut self, now: Duration, value: &str) -> Judgement {
        let demand = Demand { realm: "calm", who: &self.who, algorithms: &self.algorithms };
        self.verifier.judge(now, demand, Subject { method: "INVITE", uri: "sip:4000@us" }, value)
    }
}
