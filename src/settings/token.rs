//! Tokens of machines that use the API: where they come from, and how they are compared.

use std::fmt;
use std::path::PathBuf;

/// The token of a machine that sees one tenant's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantTokenSource {
    /// Whose calls.
    pub tenant: String,
    /// Where the token comes from.
    pub token: TokenSource,
}

/// Where the API token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// Given by the program itself, e.g. made at random for a demonstration.
    Given(Token),
}

impl TokenSource {
    /// Fetches the token.
    ///
    /// # Errors
    /// What was found instead, in words, when the file or variable is missing or the token is shorter than 16 bytes.
    pub fn fetch(&self) -> Result<Token, String> {
        let text = match self {
            TokenSource::Given(token) => return Ok(token.clone()),
            TokenSource::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
            }
            TokenSource::Variable(name) => {
                std::env::var(name).map_err(|error| format!("environment variable {name}: {error}"))?
            }
        };
        Token::new(text.lines().next().unwrap_or_default().trim())
    }
}

/// The API token. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token from its text.
    ///
    /// # Errors
    /// When it is shorter than 16 bytes, longer than 512, or has characters an HTTP header cannot carry.
    pub fn new(text: &str) -> Result<Token, String> {
        if !(16..=512).contains(&text.len()) {
            return Err(format!("a token of {} bytes; 16-512 are needed", text.len()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token with spaces or characters outside ASCII".to_owned());
        }
        Ok(Token(text.to_owned()))
    }

    /// Whether `presented` is this token; takes as long for a near miss as for a far one.
    pub fn matches(&self, presented: &str) -> bool {
        // Digests of an unknown secret tell nothing by how early they differ.
        let digest = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        digest(&self.0).as_ref() == digest(presented).as_ref()
    }

    /// The token itself, for a client of our own.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
