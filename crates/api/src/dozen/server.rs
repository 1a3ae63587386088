//! `GET /dozen/server`: what one talks to. Answered without a token.

use serde::{Deserialize, Serialize};

/// The server in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerInfo {
    /// The program's version.
    pub version: String,
    /// The revision of these extensions. Grows when something is added; a client asks it before it uses a newer one.
    pub extensions: u32,
    /// Where apps answer: `http://{app}.localhost:8080/`, the app's name in place of `{app}`.
    pub app_url: String,
    /// Where to push: `https://localhost:8443/{app}.git`.
    pub git_url: String,
}

/// The revision that this crate describes.
pub const EXTENSIONS: u32 = 1;
