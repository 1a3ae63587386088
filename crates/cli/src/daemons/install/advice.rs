//! What people are told at the end. Pure.

use super::step::Step;
use super::units;
use super::wanted::{self, Wanted};
use crate::daemons::first_login::FirstLogin;
use crate::daemons::settings::Settings;

/// A firewall that was found on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firewall {
    Ufw,
    Nftables,
    NoneFound,
}

/// After a run that changed something, or did not have to.
pub fn render_installed(
    wanted: &Wanted,
    steps: &[Step],
    first: Option<&FirstLogin>,
    firewall: Firewall,
) -> String {
    let settings = &wanted.settings;
    let mut text = if steps.is_empty() {
        "Nothing to do: everything is as it should be.\n".to_owned()
    } else {
        String::new()
    };
    text.push_str(&format!(
        "\nDozen {} is installed.\n  API and git  {}\n  apps         {}\n  settings     {}\n  data         {}\n  log          journalctl -u 'dozen-*'\n",
        env!("CARGO_PKG_VERSION"),
        api_url(settings),
        apps_url(settings),
        wanted.environment_file.display(),
        settings.data.root().display(),
    ));
    if writes_apps_unit(steps) {
        text.push_str(&format!(
            "  {} has changed: it takes effect at the next boot, so that apps run on\n",
            units::APPS
        ));
    }
    text.push_str(&first.map_or_else(String::new, |first| render_first(settings, first)));
    text.push_str(&render_way_in(settings, firewall));
    text.push_str(&render_next(settings));
    text
}

/// At an upgrade only: at the first time the unit is started with what was written.
fn writes_apps_unit(steps: &[Step]) -> bool {
    let apps = wanted::unit_path(units::APPS);
    let writes = steps.iter().any(|step| matches!(step, Step::WriteFile { path, .. } if *path == apps));
    let starts =
        steps.iter().any(|step| matches!(step, Step::Start { units } if units.contains(&units::APPS)));
    writes && !starts
}

fn api_url(settings: &Settings) -> String {
    url("https", settings.api_host.as_str(), settings.api_listen.port(), 443)
}

fn apps_url(settings: &Settings) -> String {
    url("http", &format!("NAME.{}", settings.base_domain), settings.http_listen.port(), 80)
}

fn url(scheme: &str, host: &str, port: u16, usual: u16) -> String {
    if port == usual { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") }
}

fn render_first(settings: &Settings, first: &FirstLogin) -> String {
    format!(
        "\nThe administrator is {}. The token is shown this once:\n\n    {}\n\nRoot's client on this machine is logged in with it.\n\
         On your own machine: copy {}/ca/ca.pem there, then\n  dozen login --url {} --ca-file ca.pem\n",
        first.email,
        first.token,
        settings.data.root().display(),
        api_url(settings),
    )
}

fn render_way_in(settings: &Settings, firewall: Firewall) -> String {
    let (http, api) = (settings.http_listen.port(), settings.api_listen.port());
    let commands = match firewall {
        Firewall::Ufw => {
            format!("\n  ufw allow {http}/tcp && ufw allow {api}/tcp && ufw default allow routed")
        }
        Firewall::Nftables => format!(
            "\n  in /etc/nftables.conf: `tcp dport {{ {http}, {api} }} accept` in the input chain, and a forward chain that accepts {}",
            settings.network_range.range(),
        ),
        Firewall::NoneFound => String::new(),
    };
    format!(
        "\nDNS: {base} and *.{base} must lead to this machine{host}.\nFirewall: TCP ports {http} and {api} must be open, here and at your provider; nothing else.{commands}\n",
        base = settings.base_domain,
        host = if settings.api_host == settings.base_domain {
            String::new()
        } else {
            format!(", and {} too", settings.api_host)
        },
    )
}

fn render_next(settings: &Settings) -> String {
    format!(
        "\nKeep a copy of {} apart from this machine: without it no backup of the data can be read.\n\nNext:\n  dozen doctor\n  dozen apps:create hello\n  dozen git:remote -a hello\n  git push dozen main\n",
        settings.master_key_file.display(),
    )
}

/// After uninstalling.
pub fn render_uninstalled(settings: &Settings, kept: bool) -> String {
    if kept {
        return format!(
            "\nDozen is off this machine. The data in {} and the settings in {} were kept:\n`dozen install` brings everything back, `dozen uninstall --purge` removes them.\n",
            settings.data.root().display(),
            wanted::ENVIRONMENT_FILE,
        );
    }
    "\nDozen and all of its data are off this machine.\n".to_owned()
}
