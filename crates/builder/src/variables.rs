//! What builds and processes of interpreted languages find in their environment.
//!
//! Of the app's config vars a build sees those whose names say that they are meant for it, and those that [`MORE`] names: a password
//! of a database is nobody's business while packages are fetched.

use crate::mirrors::{MirrorUrl, Mirrors};
use crate::request::BuildRequest;
use domain::runtime::Language;
use sandbox::spec::runtime_path;
use std::collections::BTreeMap;

/// The config var that lists further config vars for builds, by name, separated by commas or blanks.
pub const MORE: &str = "DOZEN_BUILD_CONFIG";
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Config vars that change what is installed, by prefix.
const INSTALLING: [(Language, &[&str]); 2] = [
    (Language::Python, &["PIP_", "UV_"]),
    (
        Language::Node,
        &[
            "NPM_CONFIG_",
            "npm_config_",
            "NPM_TOKEN",
            "NODE_AUTH_TOKEN",
            "YARN_",
            "PNPM_",
            "NODE_ENV",
            "NODE_OPTIONS",
        ],
    ),
];
/// Config vars that builds read by convention, by prefix: what frameworks put into pages, which everybody sees anyway.
const BUILDING: [(Language, &[&str]); 2] = [
    (Language::Python, &["DJANGO_SETTINGS_MODULE", "DISABLE_COLLECTSTATIC"]),
    (
        Language::Node,
        &[
            "NEXT_PUBLIC_",
            "NUXT_PUBLIC_",
            "VITE_",
            "REACT_APP_",
            "GATSBY_",
            "VUE_APP_",
            "EXPO_PUBLIC_",
            "PUBLIC_",
            "NODE_MODULES_CACHE",
        ],
    ),
];

fn has_prefix(table: &[(Language, &[&str])], language: Language, name: &str) -> bool {
    let prefixes = table.iter().filter(|(of, _)| *of == language).flat_map(|(_, prefixes)| prefixes.iter());
    prefixes.into_iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the app itself names a config var for builds; `more` is the value of [`MORE`].
fn is_named(more: &str, name: &str) -> bool {
    more.split([',', ' ', '\n']).any(|one| one == name)
}

fn mirror(language: Language, mirrors: &Mirrors) -> Option<&MirrorUrl> {
    match language {
        Language::Python => mirrors.pypi.as_ref(),
        Language::Node => mirrors.npm.as_ref(),
    }
}

/// What of a build's environment decides what is installed, for the installation's key: where packages come from, the config vars of
/// package managers, and those that the app names, since only the app knows what for. Among them are passwords.
pub(crate) fn deciding<'a>(
    language: Language,
    config: &'a BTreeMap<String, String>,
    mirrors: &'a Mirrors,
) -> Vec<(&'a str, &'a str)> {
    let more = config.get(MORE).map_or("", String::as_str);
    let decides = |name: &str| has_prefix(&INSTALLING, language, name) || is_named(more, name);
    let config = config.iter().filter(|(name, _)| decides(name));
    let config = config.map(|(name, value)| (name.as_str(), value.as_str()));
    config.chain(mirror(language, mirrors).map(|mirror| ("package mirror", mirror.as_str()))).collect()
}

/// The environment of a build: mirrors, then what the app says, then what is not for the app to say.
pub(crate) fn at_build(
    language: Language,
    request: &BuildRequest,
    mirrors: &Mirrors,
) -> Vec<(String, String)> {
    let mut all = match language {
        Language::Python => pypi(mirror(language, mirrors)),
        Language::Node => npm(mirror(language, mirrors)),
    };
    if language == Language::Node {
        all.insert("NODE_ENV".to_owned(), "production".to_owned());
    }
    let more = request.environment.iter().find(|(name, _)| *name == MORE).map_or("", |(_, value)| value);
    let is_meant = |name: &str| {
        [&INSTALLING, &BUILDING].iter().any(|table| has_prefix(*table, language, name))
            || is_named(more, name)
    };
    for (name, value) in request.environment.iter() {
        if is_meant(name) {
            all.insert(name.to_owned(), value.to_owned());
        }
    }
    let commit = request.commit.as_ref().map_or("", |commit| commit.as_str());
    let path = format!("{}/bin:{SYSTEM_PATH}", runtime_path(language));
    for (name, value) in
        [("PATH", path.as_str()), ("HOME", "/tmp"), ("LANG", "C.UTF-8"), ("SOURCE_VERSION", commit)]
    {
        all.insert(name.to_owned(), value.to_owned());
    }
    all.into_iter().collect()
}

type Pairs = BTreeMap<String, String>;

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn pypi(mirror: Option<&MirrorUrl>) -> Pairs {
    let Some(mirror) = mirror else { return Pairs::new() };
    let url = mirror.as_str();
    let mut all = pairs(&[("PIP_INDEX_URL", url), ("UV_DEFAULT_INDEX", url)]);
    if let Some(host) = mirror.unprotected_host() {
        all.extend(pairs(&[("PIP_TRUSTED_HOST", host), ("UV_INSECURE_HOST", host)]));
    }
    all
}

fn npm(mirror: Option<&MirrorUrl>) -> Pairs {
    let Some(mirror) = mirror else { return Pairs::new() };
    let url = mirror.as_str();
    let mut all =
        pairs(&[("npm_config_registry", url), ("YARN_REGISTRY", url), ("YARN_NPM_REGISTRY_SERVER", url)]);
    if let Some(host) = mirror.unprotected_host() {
        let host = host.split(':').next().unwrap_or(host);
        all.extend(pairs(&[("YARN_UNSAFE_HTTP_WHITELIST", host)]));
    }
    all
}

/// What processes find unless the app's config vars say otherwise: kept with the slug.
pub(crate) fn at_run(language: Language) -> Pairs {
    let prefix = runtime_path(language);
    match language {
        Language::Python => pairs(&[
            ("PATH", &format!("/app/.venv/bin:{prefix}/bin:/app/bin:{SYSTEM_PATH}")),
            ("PYTHONUNBUFFERED", "1"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONPATH", "/app"),
            ("VIRTUAL_ENV", "/app/.venv"),
        ]),
        Language::Node => pairs(&[
            ("PATH", &format!("/app/node_modules/.bin:{prefix}/bin:/app/bin:{SYSTEM_PATH}")),
            ("NODE_ENV", "production"),
            ("npm_config_cache", "/tmp/.npm"),
            ("npm_config_update_notifier", "false"),
        ]),
    }
}

/// The environment of a Rust build's mirror.
pub(crate) fn crates(mirrors: &Mirrors) -> Option<(String, String)> {
    Some((crate::step::CRATES_MIRROR.to_owned(), mirrors.crates.as_ref()?.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::BuildEnvironment;
    use domain::ids::{AppId, BuildId, ProcessId};

    #[test]
    fn builds_see_what_is_meant_for_them() {
        let config = [
            ("DATABASE_URL", "secret"),
            ("NPM_TOKEN", "t"),
            ("NEXT_PUBLIC_URL", "u"),
            ("PIP_INDEX_URL", "mine"),
            ("PATH", "/evil"),
            ("API_KEY", "named"),
            (MORE, "API_KEY, OTHER"),
            ("NODE_ENV", "staging"),
        ];
        let environment = BuildEnvironment::new(pairs(&config));
        let request = BuildRequest {
            app: AppId::from_u128(1),
            app_index: 0,
            build: BuildId::from_u128(2),
            process: ProcessId::from_u128(3),
            commit: None,
            previous: None,
            environment,
            request_id: None,
            buildpacks: Vec::new(),
        };
        let mirror = "http://10.0.0.1:8080/simple".parse().ok();
        let mirrors = Mirrors { pypi: mirror.clone(), npm: mirror, crates: None };
        let shown = |language| {
            let all = at_build(language, &request, &mirrors);
            all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(format!("{}\n\n{}", shown(Language::Python), shown(Language::Node)));
    }

    #[test]
    fn a_change_of_what_decides_about_packages_is_told_from_others() {
        let config = pairs(&[
            ("DATABASE_URL", "secret"),
            ("NPM_TOKEN", "t"),
            ("NEXT_PUBLIC_URL", "u"),
            ("PIP_INDEX_URL", "mine"),
            ("API_KEY", "named"),
            (MORE, "API_KEY, OTHER"),
        ]);
        let url: MirrorUrl = "https://u:p@mirror.example.com/".parse().expect("a URL");
        let mirrors = Mirrors { pypi: Some(url), npm: None, crates: None };
        assert_eq!(
            deciding(Language::Python, &config, &mirrors),
            [
                ("API_KEY", "named"),
                ("PIP_INDEX_URL", "mine"),
                ("package mirror", "https://u:p@mirror.example.com/")
            ]
        );
        assert_eq!(deciding(Language::Node, &config, &mirrors), [("API_KEY", "named"), ("NPM_TOKEN", "t")]);
    }
}
