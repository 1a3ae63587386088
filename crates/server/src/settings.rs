//! What the front door is told.

use domain::names::{AppName, HostName};
use std::path::PathBuf;

/// Plain values that the command line's settings end up in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Apps answer at `NAME.BASE`.
    pub base_domain: HostName,
    /// The port of the router.
    pub app_port: u16,
    /// Names and addresses besides the loopback ones under which clients reach this server: they go into its certificate.
    pub names: Vec<String>,
    /// Our own binary, at a path that git may execute.
    pub hook_binary: PathBuf,
    /// What `GET /dozen/server` tells.
    pub version: String,
}

impl Settings {
    /// Where an app answers, with its port unless that is the scheme's own.
    pub fn app_url(&self, app: &AppName) -> String {
        self.url_of(app.as_str())
    }

    /// As [`Settings::app_url`], with `{app}` in the name's place.
    pub fn app_url_template(&self) -> String {
        self.url_of("{app}")
    }

    fn url_of(&self, name: &str) -> String {
        match self.app_port {
            80 => format!("http://{name}.{}/", self.base_domain),
            port => format!("http://{name}.{}:{port}/", self.base_domain),
        }
    }
}
