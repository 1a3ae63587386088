//! The environment in which the Heroku client knows one server and no other host. Pure.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where everything is.
pub struct Place<'a> {
    /// The way to the server for the client itself.
    pub door: SocketAddr,
    /// The server's own address: git's remotes outlive the door.
    pub server: String,
    pub server_host: String,
    pub server_ca: Option<PathBuf>,
    pub token: &'a str,
    pub app: Option<&'a str>,
    pub authority: &'a Path,
    pub git_config: &'a Path,
    /// How many settings of git's the environment holds already.
    pub git_config_count: usize,
    /// What every program on Node.js runs first.
    pub guard: &'a Path,
    /// The user's own options of Node.js.
    pub node_options: Option<&'a str>,
    /// Ourselves.
    pub program: &'a Path,
}

/// What to change in the user's environment.
pub struct Variables {
    pub set: Vec<(String, OsString)>,
    pub removed: Vec<&'static str>,
}

/// Whatever would lead past the door, or make its certificate go unseen.
const REMOVED: [&str; 12] = [
    "ALL_PROXY",
    "GIT_SSL_CAINFO",
    "NO_PROXY",
    "HEROKU_POSTGRESQL_HOST",
    "HEROKU_REDIS_HOST",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

impl Variables {
    pub fn of(place: &Place<'_>) -> Self {
        let mut set = Vec::new();
        let mut add = |name: &str, value: OsString| set.push((name.to_owned(), value));
        let door = format!("https://{}", place.door);
        let proxy = format!("http://{}", place.door);
        for name in [
            "HEROKU_HOST",
            "HEROKU_PARTICLEBOARD_URL",
            "HEROKU_LOGIN_HOST",
            "HEROKU_STATUS_HOST",
            "HEROKU_EXEC_URL",
            "HEROKU_CI_WEBSOCKET_URL",
            "PGDIAGNOSE_URL",
        ] {
            add(name, door.clone().into());
        }
        add("HEROKU_BUILDPACK_REGISTRY_URL", format!("{door}/registry").into());
        // The client takes the port from HEROKU_HOST.
        add("HEROKU_DATA_HOST", place.door.ip().to_string().into());
        add("HEROKU_GIT_HOST", place.server_host.clone().into());
        add("HEROKU_API_KEY", place.token.into());
        place.app.into_iter().for_each(|app| add("HEROKU_APP", app.into()));
        for (name, value) in QUIET {
            add(name, value.into());
        }
        add("NODE_EXTRA_CA_CERTS", place.authority.into());
        add("NODE_OPTIONS", node_options(place).into());
        // From Node.js 24 on, and late in 22, what it fetches by itself heeds the proxy, too.
        add("NODE_USE_ENV_PROXY", "1".into());
        // Some of Heroku's hosts are written into the client; the door refuses them. Nothing is exempt from the proxy, not even
        // loopback: the client looks for exemptions by the host that it should ask, not by the one that it does.
        add("HTTPS_PROXY", proxy.clone().into());
        add("HTTP_PROXY", proxy.into());
        add("GIT_CONFIG_GLOBAL", place.git_config.into());
        for (name, value) in git_settings(place) {
            add(&name, value);
        }
        Self { set, removed: REMOVED.to_vec() }
    }
}

/// No word to anybody about what is run, and no keychain.
const QUIET: [(&str, &str); 6] = [
    ("DISABLE_TELEMETRY", "true"),
    ("HEROKU_SKIP_ANALYTICS", "1"),
    ("HEROKU_SKIP_NEW_VERSION_CHECK", "1"),
    ("HEROKU_DISABLE_AUTOUPDATE", "1"),
    ("HEROKU_NOTIFICATIONS", "0"),
    ("HEROKU_NETRC_WRITE", "true"),
];

/// As Node.js reads them: quotes keep blanks together, and backslashes count within them.
fn node_options(place: &Place<'_>) -> String {
    let guard = place.guard.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    format!("--require=\"{guard}\" {}", place.node_options.unwrap_or_default()).trim_end().to_owned()
}

/// Git asks us for the token of the server, whatever else is configured, and trusts it as we do.
fn git_settings(place: &Place<'_>) -> Vec<(String, OsString)> {
    let helper = format!("credential.{}.helper", place.server);
    let ours = crate::text::quote_for_shell(&place.program.to_string_lossy());
    let mut settings =
        vec![(helper.clone(), OsString::new()), (helper, format!("!{ours} git:credentials").into())];
    if let Some(file) = &place.server_ca {
        settings.push((format!("http.{}.sslCAInfo", place.server), file.into()));
    }
    let first = place.git_config_count;
    let count = ("GIT_CONFIG_COUNT".to_owned(), (first + settings.len()).to_string().into());
    let numbered = (first..).zip(settings).flat_map(|(number, (key, value))| {
        [(format!("GIT_CONFIG_KEY_{number}"), key.into()), (format!("GIT_CONFIG_VALUE_{number}"), value)]
    });
    std::iter::once(count).chain(numbered).collect()
}

/// The client writes a helper of its own into git's global configuration before nearly every command. It gets this one, which
/// includes the user's.
pub fn render_git_config(users: &[PathBuf]) -> String {
    let quoted = |path: &PathBuf| path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    users.iter().map(|path| format!("[include]\n\tpath = \"{}\"\n", quoted(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_environment() {
        let variables = Variables::of(&Place {
            door: SocketAddr::from(([127, 0, 0, 1], 40000)),
            server: "https://paas.example.com:8443".to_owned(),
            server_host: "paas.example.com:8443".to_owned(),
            server_ca: Some(PathBuf::from("/h/ca.pem")),
            token: "dzn_secret",
            app: Some("hello"),
            authority: Path::new("/h/authority.pem"),
            git_config: Path::new("/h/gitconfig"),
            git_config_count: 2,
            guard: Path::new("/h/my \"h\"/guard.cjs"),
            node_options: Some("--no-warnings"),
            program: Path::new("/opt/my tools/dozen"),
        });
        let lines: Vec<String> =
            variables.set.iter().map(|(name, value)| format!("{name}={}", value.to_string_lossy())).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        HEROKU_HOST=https://127.0.0.1:40000
        HEROKU_PARTICLEBOARD_URL=https://127.0.0.1:40000
        HEROKU_LOGIN_HOST=https://127.0.0.1:40000
        HEROKU_STATUS_HOST=https://127.0.0.1:40000
        HEROKU_EXEC_URL=https://127.0.0.1:40000
        HEROKU_CI_WEBSOCKET_URL=https://127.0.0.1:40000
        PGDIAGNOSE_URL=https://127.0.0.1:40000
        HEROKU_BUILDPACK_REGISTRY_URL=https://127.0.0.1:40000/registry
        HEROKU_DATA_HOST=127.0.0.1
        HEROKU_GIT_HOST=paas.example.com:8443
        HEROKU_API_KEY=dzn_secret
        HEROKU_APP=hello
        DISABLE_TELEMETRY=true
        HEROKU_SKIP_ANALYTICS=1
        HEROKU_SKIP_NEW_VERSION_CHECK=1
        HEROKU_DISABLE_AUTOUPDATE=1
        HEROKU_NOTIFICATIONS=0
        HEROKU_NETRC_WRITE=true
        NODE_EXTRA_CA_CERTS=/h/authority.pem
        NODE_OPTIONS=--require="/h/my \"h\"/guard.cjs" --no-warnings
        NODE_USE_ENV_PROXY=1
        HTTPS_PROXY=http://127.0.0.1:40000
        HTTP_PROXY=http://127.0.0.1:40000
        GIT_CONFIG_GLOBAL=/h/gitconfig
        GIT_CONFIG_COUNT=5
        GIT_CONFIG_KEY_2=credential.https://paas.example.com:8443.helper
        GIT_CONFIG_VALUE_2=
        GIT_CONFIG_KEY_3=credential.https://paas.example.com:8443.helper
        GIT_CONFIG_VALUE_3=!'/opt/my tools/dozen' git:credentials
        GIT_CONFIG_KEY_4=http.https://paas.example.com:8443.sslCAInfo
        GIT_CONFIG_VALUE_4=/h/ca.pem
        "#);
    }

    #[test]
    fn the_users_configuration_is_included() {
        let rendered = render_git_config(&[PathBuf::from("/home/a \"b\"/.gitconfig")]);
        assert_eq!(rendered, "[include]\n\tpath = \"/home/a \\\"b\\\"/.gitconfig\"\n");
    }
}
