//! Alerts that wait for a reaction, sealed, so that a restart neither forgets nor repeats a step of theirs.

use tracing::warn;

use super::{Embedded, Order};
use crate::escalation::{AlertName, WaitingAlert};

impl Embedded {
    /// Writes down alerts as they are now, and removes those that wait no longer; on the disk when this returns.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep_alerts(&self, changes: &[(AlertName, Option<WaitingAlert>)]) -> Result<(), String> {
        if let Some(site) = self.site() {
            return site.keep_alerts(changes);
        }
        for (name, alert) in changes {
            let key = self.alert_key(name)?;
            match alert {
                Some(alert) => {
                    let plain = serde_json::to_vec(alert).map_err(|error| error.to_string())?;
                    self.alerts.insert(key, self.keys.seal(&context(&key), &plain))?;
                }
                None => self.alerts.remove(key)?,
            }
        }
        self.flush()
    }

    /// All that wait.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn alerts(&self) -> Result<Vec<WaitingAlert>, String> {
        if let Some(site) = self.site() {
            return site.alerts();
        }
        let mut alerts = Vec::new();
        for entry in self.alerts.pairs(&[], None, Order::Up) {
            let (key, sealed) = entry?;
            let opened = self.keys.open_value(&context(&key), &sealed).map_err(|error| error.to_string());
            match opened.and_then(|plain| serde_json::from_slice(&plain).map_err(|error| error.to_string())) {
                Ok(alert) => alerts.push(alert),
                // One that cannot be read is no reason to forget all others.
                Err(why) => warn!(why, "an alert of before cannot be read"),
            }
        }
        Ok(alerts)
    }

    /// Forgets those that wait of calls that are erased: before their keys go, so that none of them outlives an end in the midst.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(super) fn forget_alerts(&self, is_theirs: impl Fn(&WaitingAlert) -> bool) -> Result<(), String> {
        let theirs = self.alerts()?.into_iter().filter(is_theirs);
        self.keep_alerts(&theirs.map(|alert| (alert.name(), None)).collect::<Vec<_>>())
    }

    fn alert_key(&self, name: &AlertName) -> Result<[u8; 16], String> {
        let name = serde_json::to_vec(name).map_err(|error| error.to_string())?;
        Ok(self.keys.blind(&[b"alert ", name.as_slice()].concat()))
    }
}

fn context(key: &[u8]) -> Vec<u8> {
    [b"alert ", key].concat()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Place, files};
    use super::*;
    use crate::web::Moment;

    #[test]
    fn alerts_outlive_the_program_and_nobody_reads_them() {
        Place::each().iter().for_each(check);
    }

    fn check(place: &Place) {
        let store = place.open();
        let alert = |call: &str, steps| WaitingAlert {
            call: call.to_owned(),
            call_ms: 5_000,
            rule: "a secret rule".to_owned(),
            route: "hotline".to_owned(),
            tenant: Some("a secret tenant".to_owned()),
            severity: "critical".to_owned(),
            text: "a secret text".to_owned(),
            raised: Moment(1),
            since: Moment(2),
            steps,
            handled: None,
            escalated: None,
        };
        let name = |alert: &WaitingAlert| (alert.call.clone(), alert.call_ms, alert.rule.clone());
        let with = |alert: WaitingAlert| (name(&alert), Some(alert));
        store.keep_alerts(&[with(alert("call 1", 0)), with(alert("call 2", 0))]).expect("written");
        store.keep_alerts(&[with(alert("call 1", 1)), (name(&alert("call 2", 0)), None)]).expect("written");
        let again = place.open_again(store);
        assert_eq!(again.alerts().expect("readable"), [alert("call 1", 1)]);
        again.forget_alerts(|alert| alert.call == "call 2").expect("written");
        assert_eq!(again.alerts().expect("readable").len(), 1, "of others they stay");
        again.forget_alerts(|alert| alert.call == "call 1").expect("written");
        assert_eq!(again.alerts().expect("readable"), []);
        drop(again);
        for file in files(&place.folder()) {
            let bytes = std::fs::read(&file).expect("a file");
            assert!(!bytes.windows(6).any(|window| window == b"secret"), "{}", file.display());
        }
    }
}
