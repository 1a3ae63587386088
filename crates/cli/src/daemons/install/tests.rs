//! What is planned and rendered, without touching the machine.

use super::observed::{Activity, FoundUnit, Observed, settled};
use super::plan::{Data, plan_install, plan_uninstall};
use super::step::Step;
use super::toolchains::{Interpreters, Origin, Toolchains};
use super::units::{self, Kind, Unit};
use super::wanted::{Family, Known, Wanted, plan_settings, with_toolchains};
use super::*;
use crate::daemons::toolchains::Search;
use domain::runtime::{Language, Runtime};
use sandbox::launcher::InstalledRuntime;
use std::process::Command;

const DIGEST: &str = "d1";

fn options() -> Options {
    Options { base_domain: Some("apps.example.com".to_owned()), ..Options::default() }
}

pub fn wanted() -> Wanted {
    let known = Known { family: Some(Family::Both), ..Known::default() };
    plan_settings(&options(), &known).unwrap()
}

fn rendered(wanted: &Wanted) -> Vec<Unit> {
    units::render(wanted, DIGEST)
}

fn told(steps: &[Step]) -> String {
    steps.iter().map(|step| format!("{step}\n")).collect()
}

#[test]
fn the_units_in_full() {
    let units = rendered(&wanted());
    assert_eq!(units.iter().map(|unit| unit.name).collect::<Vec<_>>(), units::ALL);
    let text: String = units.iter().map(|unit| format!("==> {} <==\n{}\n", unit.name, unit.text)).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn a_first_installation_is_told_to_the_letter() {
    let wanted = wanted();
    let steps = plan_install(&wanted, &rendered(&wanted), &Observed::default());
    let without_units: Vec<Step> = steps
        .into_iter()
        .map(|step| match step {
            Step::WriteFile { path, .. } if path.starts_with("/etc/systemd") => {
                Step::WriteFile { path, text: "(as in the test of the units)".to_owned() }
            }
            other => other,
        })
        .collect();
    insta::assert_snapshot!(render_dry_run(&without_units));
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    let wanted = wanted();
    let units = rendered(&wanted);
    let steps = plan_install(&wanted, &units, &settled(&wanted, &units));
    assert_eq!(steps, []);
    assert_eq!(render_dry_run(&steps), "Nothing to do: everything is as it should be.\n");
}

#[test]
fn a_newer_program_restarts_the_daemons_and_not_the_apps() {
    let wanted = wanted();
    let before = Observed { program_is_current: false, ..settled(&wanted, &rendered(&wanted)) };
    let steps = plan_install(&wanted, &units::render(&wanted, "d2"), &before);
    insta::assert_snapshot!(told(&steps), @r"
    copy this program to /usr/local/bin/dozen
    write /etc/systemd/system/dozen-launcher.service
    write /etc/systemd/system/dozen-server.service
    write /etc/systemd/system/dozen-router.service
    systemctl daemon-reload
    systemctl restart dozen-launcher.service dozen-server.service dozen-router.service
    ");
}

/// Everybody may read units. What they show of the settings must not be something by which a password can be tried out.
#[test]
fn units_show_a_digest_that_nobody_can_compute() {
    let with_key = |key: &str| {
        let known = Known { fingerprint_key: key.to_owned(), ..Known::default() };
        plan_settings(&options(), &known).unwrap()
    };
    let shown = |wanted: &Wanted| {
        rendered(wanted).into_iter().filter_map(|unit| unit.fingerprint).collect::<Vec<_>>()
    };
    let one = with_key("a1b2c3");
    assert!(!shown(&one).is_empty());
    assert!(shown(&one).iter().zip(shown(&with_key("d4e5f6"))).all(|(one, other)| *one != other));
    let known = Known {
        environment: Some(one.environment.render()),
        fingerprint_key: "later".to_owned(),
        ..Known::default()
    };
    assert_eq!(shown(&plan_settings(&options(), &known).unwrap()), shown(&one), "the key is kept");
    let all: String = rendered(&one).iter().map(|unit| unit.text.clone()).collect();
    assert!(!all.contains("a1b2c3") && !one.environment.render_masked().contains("a1b2c3"));
}

/// The files were written, and then the power failed: what runs is older than what is there.
#[test]
fn a_cut_off_upgrade_is_finished() {
    let wanted = wanted();
    let units = rendered(&wanted);
    let mut observed = settled(&wanted, &units);
    for name in [units::SERVER, units::ROUTER] {
        observed.units.get_mut(name).unwrap().fingerprint = Some("older".to_owned());
    }
    observed.units.get_mut(units::SERVER).unwrap().outdated = true;
    insta::assert_snapshot!(told(&plan_install(&wanted, &units, &observed)), @r"
    systemctl daemon-reload
    systemctl restart dozen-server.service dozen-router.service
    ");
}

#[test]
fn another_port_makes_the_socket_anew_and_leaves_the_other_alone() {
    let before = wanted();
    let observed = settled(&before, &rendered(&before));
    let known = Known { environment: Some(before.environment.render()), ..Known::default() };
    let moved = Options { http_listen: Some("0.0.0.0:8080".parse().unwrap()), ..Options::default() };
    let after = plan_settings(&moved, &known).unwrap();
    assert_eq!(after.settings.base_domain, before.settings.base_domain);
    insta::assert_snapshot!(told(&plan_install(&after, &rendered(&after), &observed)), @r"
    write /etc/dozen/dozen.env (0600)
    write /etc/systemd/system/dozen-launcher.service
    write /etc/systemd/system/dozen-router.socket
    write /etc/systemd/system/dozen-server.service
    write /etc/systemd/system/dozen-router.service
    systemctl daemon-reload
    systemctl stop dozen-router.service dozen-router.socket
    systemctl restart dozen-launcher.service dozen-server.service
    systemctl start dozen-router.socket dozen-router.service
    ");
}

/// Whatever is found, the service that apps live in is never restarted or stopped.
#[test]
fn no_installation_stops_the_apps() {
    let wanted = wanted();
    let units = rendered(&wanted);
    for activity in [Activity::Active, Activity::Inactive] {
        for outdated in [false, true] {
            let mut observed = settled(&wanted, &units);
            for unit in observed.units.values_mut() {
                *unit = FoundUnit { activity, outdated, ..FoundUnit::default() };
            }
            observed.files.clear();
            let steps = plan_install(&wanted, &units, &observed);
            let touches = |step: &Step| match step {
                Step::Stop { units } | Step::Restart { units } => units.contains(&units::APPS),
                other => *other == Step::StopAll,
            };
            assert!(!steps.iter().any(touches), "{}", told(&steps));
        }
    }
}

#[test]
fn uninstalling_keeps_the_data_unless_told() {
    let wanted = wanted();
    let observed = settled(&wanted, &rendered(&wanted));
    insta::assert_snapshot!(told(&plan_uninstall(&wanted, &observed, Data::Keep)));
    insta::assert_snapshot!(told(&plan_uninstall(&wanted, &observed, Data::Purge)));
    let nothing = plan_uninstall(&wanted, &Observed::default(), Data::Purge);
    assert_eq!(told(&nothing), "remove the apps' networks and the packet rules\n");
}

#[test]
fn settings_of_the_last_time_are_kept() {
    let file = "DOZEN_BASE_DOMAIN=a.example\nDOZEN_DRAIN_SECONDS=5\nDOZEN_HTTP_LISTEN=10.0.0.1:80\n# mine\n";
    let known = Known { environment: Some(file.to_owned()), server_uid: Some(901), ..Known::default() };
    let again = plan_settings(&Options::default(), &known).unwrap();
    assert_eq!(again.settings.drain_seconds, 5);
    assert_eq!(again.settings.http_listen, "10.0.0.1:80".parse().unwrap());
    assert_eq!((again.settings.uid, again.settings.api_listen.port()), (901, 443));
    assert!(again.environment.render().contains("# mine\n"));
    let other = plan_settings(&options(), &known).unwrap();
    assert_eq!(other.settings.base_domain.as_str(), "apps.example.com");
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_done() {
    let none = Known::default();
    assert!(matches!(plan_settings(&Options::default(), &none), Err(InstallError::NoBaseDomain)));
    let bad = Options { base_domain: Some("not a domain".to_owned()), ..Options::default() };
    assert!(matches!(plan_settings(&bad, &none), Err(InstallError::Settings(_))));
    let wanted = wanted();
    let mut observed = Observed::default();
    observed.users.insert("somebody".to_owned(), wanted.settings.uid);
    assert!(matches!(machine::check_users(&wanted, &observed), Err(InstallError::IdTaken { .. })));
    observed.users = [("dozen".to_owned(), 7)].into();
    assert!(matches!(machine::check_users(&wanted, &observed), Err(InstallError::OtherId { found: 7, .. })));
    observed.users.clear();
    assert!(machine::check_users(&wanted, &observed).is_ok());
}

/// `ListenStream=` of what was installed tells which ports are ours; a unit that is active does not yet hold any.
#[test]
fn a_port_of_somebody_elses_is_not_moved_to() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap();
    let with = |http: SocketAddr, api: &str| {
        let api = Some(api.parse().unwrap());
        plan_settings(&Options { http_listen: Some(http), api_listen: api, ..options() }, &Known::default())
            .unwrap()
    };
    let elsewhere = "127.0.0.1:1".parse().unwrap();
    let check =
        |before: &Wanted, after: &Wanted| machine::check_ports(after, &settled(before, &rendered(before)));
    let (before, after) = (with(elsewhere, "127.0.0.1:2"), with(taken, "127.0.0.1:2"));
    assert!(matches!(check(&before, &after), Err(InstallError::PortTaken { address }) if address == taken));
    assert!(machine::check_ports(&after, &Observed::default()).is_err(), "at a first installation");
    assert!(check(&after, &after).is_ok(), "it is our own socket that listens there");
    let other_address = with(SocketAddr::from(([127, 0, 0, 2], taken.port())), "127.0.0.1:2");
    assert!(check(&after, &other_address).is_ok());
    let mut stopped = settled(&after, &rendered(&after));
    stopped.units.get_mut(units::ROUTER_SOCKET).unwrap().activity = Activity::Inactive;
    assert!(machine::check_ports(&after, &stopped).is_err(), "somebody took it while ours was stopped");
    let api_there = with(elsewhere, &taken.to_string());
    assert!(check(&api_there, &with(taken, "127.0.0.1:2")).is_ok(), "the API leaves it");
    assert!(check(&api_there, &with(taken, &taken.to_string())).is_err(), "the API stays");
}

#[test]
fn the_data_folder_is_not_changed_under_what_runs() {
    let before = wanted();
    let observed = settled(&before, &rendered(&before));
    let known = Known { environment: Some(before.environment.render()), ..Known::default() };
    let moved = Options { data: Some("/srv/dozen".into()), ..Options::default() };
    let after = plan_settings(&moved, &known).unwrap();
    let told = machine::check_data(&after, &observed).unwrap_err().to_string();
    assert!(told.contains("mv /var/lib/dozen /srv/dozen") && told.contains("--data /srv/dozen"), "{told}");
    let mut edited = observed.clone();
    edited.files.insert(after.environment_file.clone(), after.environment.render());
    assert!(machine::check_data(&after, &edited).is_err(), "the file was changed by hand, what runs was not");
    let mut stopped = observed.clone();
    stopped.units.values_mut().for_each(|unit| unit.activity = Activity::Inactive);
    assert!(machine::check_data(&after, &stopped).is_ok());
    assert!(machine::check_data(&before, &observed).is_ok());
    assert!(machine::check_data(&before, &Observed::default()).is_ok());
}

#[test]
fn data_in_a_home_is_refused() {
    for (data, visible) in [
        ("/home/ada/dozen", false),
        ("/home", false),
        ("/root/dozen", false),
        ("/run/user/1000/dozen", false),
        ("/homes/dozen", true),
        ("/srv/root", true),
    ] {
        let options = Options { data: Some(data.into()), ..options() };
        let planned = plan_settings(&options, &Known::default());
        assert_eq!(!matches!(planned, Err(InstallError::HiddenData { .. })), visible, "{data}");
    }
}

fn with_mirror() -> Wanted {
    let text =
        wanted().environment.render() + "DOZEN_NPM_MIRROR=https://ada:secret@mirror.example.com/npm/\n";
    plan_settings(&options(), &Known { environment: Some(text), ..Known::default() }).unwrap()
}

/// A file of an earlier version may be read by everybody.
#[test]
fn passwords_of_mirrors_are_for_root_alone() {
    let wanted = with_mirror();
    let units = rendered(&wanted);
    let mut observed = settled(&wanted, &units);
    assert_eq!(plan_install(&wanted, &units, &observed), []);
    observed.settings_are_public = true;
    let steps = plan_install(&wanted, &units, &observed);
    let told = render_dry_run(&steps);
    assert!(told.contains("write /etc/dozen/dozen.env (0600)"), "{told}");
    assert!(told.contains("DOZEN_NPM_MIRROR=https://***@mirror.example.com/npm/"), "{told}");
    assert!(!told.contains("secret@"), "{told}");
    assert!(matches!(&steps[..], [Step::WriteSettings { text, .. }] if text.contains("ada:secret@")));
    assert!(units.iter().all(|unit| !unit.text.contains("secret")));
}

fn installed(version: &str, prefix: &str) -> InstalledRuntime {
    let language = if version.starts_with("3.") { Language::Python } else { Language::Node };
    let runtime = Runtime::of_version(language, version).unwrap();
    InstalledRuntime { runtime, version: version.to_owned(), prefix: prefix.into() }
}

fn interpreters(language: Language, found: Vec<InstalledRuntime>, refused: &[&str]) -> Interpreters {
    let refused = refused.iter().map(|text| (*text).to_owned()).collect();
    Interpreters { language, origin: Origin::Found, search: Search { found, refused } }
}

#[test]
fn interpreters_that_are_found_are_kept_and_told() {
    let python = vec![
        installed("3.12.1", "/root/.pyenv/versions/3.12.1"),
        installed("3.10.2", "/opt/a,b"),
        installed("3.11.2", "/usr"),
    ];
    let found = Toolchains {
        rust: Some("/root/.rustup/toolchains/stable".into()),
        languages: vec![
            interpreters(Language::Python, python, &[]),
            interpreters(Language::Node, vec![], &["Node.js in /home/ada, which holds more"]),
        ],
    };
    let wanted = with_toolchains(wanted(), &found).unwrap();
    assert_eq!(wanted.environment.get("DOZEN_PYTHON_PREFIX"), Some("/root/.pyenv/versions/3.12.1,/usr"));
    assert_eq!(wanted.environment.get("DOZEN_RUST_PREFIX"), Some("/root/.rustup/toolchains/stable"));
    assert_eq!(wanted.environment.get("DOZEN_NODE_PREFIX"), None);
    assert_eq!(wanted.settings.python_prefixes.len(), 2);
    insta::assert_snapshot!(found.render(&wanted), @r"

    Interpreters for apps:
      Python 3.12.1 in /root/.pyenv/versions/3.12.1
      Python 3.11.2 in /usr
      DOZEN_PYTHON_PREFIX in /etc/dozen/dozen.env keeps this
      passed over: Python in /opt/a,b, whose name holds a comma, a blank at its end or no text
      no Node.js: install one, and `dozen install` again finds it
      passed over: Node.js in /home/ada, which holds more
    ");
}

#[test]
fn interpreters_that_somebody_named_are_kept() {
    let text = wanted().environment.render() + "DOZEN_PYTHON_PREFIX=/opt/py\nDOZEN_NODE_PREFIX=\n";
    let known = Known { environment: Some(text), ..Known::default() };
    let wanted = plan_settings(&options(), &known).unwrap();
    let named = Interpreters {
        origin: Origin::Setting,
        ..interpreters(Language::Python, vec![installed("3.12.1", "/opt/py")], &[])
    };
    let node = interpreters(Language::Node, vec![installed("20.19.2", "/usr")], &[]);
    let found = Toolchains { rust: None, languages: vec![named, node] };
    let wanted = with_toolchains(wanted, &found).unwrap();
    assert_eq!(wanted.environment.get("DOZEN_PYTHON_PREFIX"), Some("/opt/py"));
    assert_eq!(wanted.environment.get("DOZEN_NODE_PREFIX"), Some("/usr"), "an empty setting says nothing");
    insta::assert_snapshot!(found.render(&wanted), @r"

    Interpreters for apps:
      Python 3.12.1 in /opt/py
      DOZEN_PYTHON_PREFIX in /etc/dozen/dozen.env says so; it is kept
      Node.js 20.19.2 in /usr
      DOZEN_NODE_PREFIX in /etc/dozen/dozen.env keeps this
    ");
}

/// The launcher would pass it over.
#[test]
fn a_named_prefix_that_cannot_be_used_stops_the_installation() {
    let text = wanted().environment.render() + "DOZEN_NODE_PREFIX=/root\n";
    let known = Known { environment: Some(text), ..Known::default() };
    let wanted = plan_settings(&options(), &known).unwrap();
    let told = InstallError::from(toolchains::look(&wanted.settings).unwrap_err()).to_string();
    assert!(
        told.contains("DOZEN_NODE_PREFIX names /root, which holds more") && told.contains("fix: "),
        "{told}"
    );
}

#[test]
fn purging_has_to_be_confirmed() {
    let settings = wanted().settings;
    let asked = |purge, confirm: Option<&str>, dry_run| {
        Uninstall { purge, confirm: confirm.map(str::to_owned), dry_run }.check_confirmed(&settings).is_ok()
    };
    assert!(asked(false, None, false) && asked(true, None, true));
    assert!(asked(true, Some("apps.example.com"), false));
    assert!(!asked(true, None, false) && !asked(true, Some("example.com"), false));
}

#[test]
fn what_people_are_told() {
    let wanted = wanted();
    let first = crate::daemons::first_login::FirstLogin {
        format: 1,
        url: "https://apps.example.com".to_owned(),
        email: "admin@apps.example.com".to_owned(),
        token: "TOKEN".to_owned(),
    };
    let steps = plan_install(&wanted, &rendered(&wanted), &Observed::default());
    insta::assert_snapshot!(advice::render_installed(&wanted, &steps, Some(&first), Firewall::Ufw));
    insta::assert_snapshot!(advice::render_installed(&wanted, &[], None, Firewall::NoneFound));
}

/// systemd's own opinion of the units, where it is installed.
#[test]
fn systemd_finds_no_fault_with_the_units() {
    if !machine::is_installed("systemd-analyze") {
        println!("skipped: systemd-analyze is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let wanted = Wanted { program: "/bin/true".into(), ..wanted() };
    let units = rendered(&wanted);
    let paths: Vec<_> = units.iter().map(|unit| folder.path().join(unit.name)).collect();
    for (unit, path) in units.iter().zip(&paths) {
        std::fs::write(path, &unit.text).unwrap();
    }
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=no"]).args(&paths);
    let output = verify.env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display())).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("dozen")).collect();
    assert_eq!((ours, output.status.success()), (Vec::new(), true), "{told}");
    assert!(units.iter().all(|unit| (unit.kind == Kind::Daemon) == unit.fingerprint.is_some()));
}
