//! The libraries of a site: each file as it was put in force last, by one number for all that grows with every change.

use serde::{Deserialize, Serialize};

use super::{Batch, Site};
use crate::store::Store;

/// Under which the number of the last change stands; names of files are longer.
const NUMBER: &[u8] = b"number";

/// One file of a library, as the site has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteFile {
    /// The change that it came with.
    pub number: u64,
    /// The library, e.g. `policies`.
    pub kind: String,
    /// The file's name, without `.toml`.
    pub name: String,
    /// What it says.
    pub text: String,
    /// The node that put it in force first.
    pub node: String,
    /// Who had it put in force there.
    pub who: String,
}

impl Site {
    fn configuration_number(&self) -> Result<u64, String> {
        let number = self.configuration.get(NUMBER)?;
        Ok(number.as_deref().and_then(<[u8]>::first_chunk).map_or(0, |octets| u64::from_be_bytes(*octets)))
    }

    fn configuration_after(&self, number: u64) -> Result<Vec<SiteFile>, String> {
        let mut files = Vec::new();
        for pair in self.configuration.scan_prefix(&[]) {
            let (key, sealed) = pair?;
            if key == NUMBER {
                continue;
            }
            let plain = self.unseal(&context(&key), &sealed)?;
            let file: SiteFile = serde_json::from_slice(&plain).map_err(|error| error.to_string())?;
            if file.number > number {
                files.push(file);
            }
        }
        files.sort_by(|a, b| (a.number, &a.kind, &a.name).cmp(&(b.number, &b.kind, &b.name)));
        Ok(files)
    }

    fn configure(&self, files: Vec<SiteFile>) -> Result<u64, String> {
        let number = self.configuration_number()? + 1;
        let mut batch = Batch::default();
        for file in files {
            let key = self.blind(b"configuration ", format!("{}/{}", file.kind, file.name).as_bytes());
            let file = SiteFile { number, node: self.node.clone(), ..file };
            let plain = serde_json::to_vec(&file).map_err(|error| error.to_string())?;
            batch.insert(key, self.seal(&context(&key), &plain)?);
        }
        batch.insert(NUMBER, number.to_be_bytes());
        self.configuration.apply(batch)?;
        Ok(number)
    }
}

impl Store {
    /// The number of the last change of a site's libraries; 0 before the first one.
    ///
    /// # Errors
    /// As [`Store::has_lease`].
    pub async fn configuration_number(&self) -> Result<u64, String> {
        self.of_site(0, Site::configuration_number).await
    }

    /// The files of a site's libraries that have changed after a number, oldest change first.
    ///
    /// # Errors
    /// As [`Store::has_lease`]; when what the database holds was altered.
    pub async fn configuration_after(&self, number: u64) -> Result<Vec<SiteFile>, String> {
        self.of_site(Vec::new(), move |site| site.configuration_after(number)).await
    }

    /// Gives files to the site, as one change: its number. Only whoever has the lease of that does so.
    ///
    /// # Errors
    /// As [`Store::has_lease`].
    pub async fn configure(&self, files: Vec<SiteFile>) -> Result<u64, String> {
        self.of_site(0, move |site| site.configure(files)).await
    }
}

fn context(key: &[u8]) -> Vec<u8> {
    [b"configuration ", key].concat()
}
