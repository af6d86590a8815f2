//! What `calmline user` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `calmline user`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Asks for a password, or reads it from standard input, one line, and prints its hash for `[users.NAME]`.
    Hash,
    /// Makes a secret for the codes of an authenticator app, and shows it as a QR code and an otpauth URL.
    Totp(TotpArgs),
}

/// `calmline user totp`.
#[derive(Debug, Args)]
pub struct TotpArgs {
    /// The user's name, as in `[users.NAME]`.
    #[arg(value_name = "NAME")]
    pub user: String,
    /// The file that the secret is written to, which must not be there; for `totp_file` of `[users.NAME]`.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}
