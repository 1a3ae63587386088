//! Every route as everybody: the table says what each needs, and here each is asked by accounts of every role, git and streams
//! included. Whoever may not is refused in the right way: 401 without a token, 403 where one knows of the thing already, and 404
//! where one should not learn that it exists.

use crate::Case;
use crate::client::{Answer, Client};
use crate::world::World;
use domain::policy::{Action, Role};
use serde_json::json;
use server::route_table;
use server::table::{Needs, Route};

pub const CASES: &[Case] = &[
    ("roles::every_route_as_everybody", every_route_as_everybody),
    ("roles::a_log_address_is_for_those_who_may_read", a_log_address_is_for_those_who_may_read),
];

/// Somebody who asks.
struct Person {
    name: &'static str,
    /// Over the server; `None`: no token at all.
    installation: Option<Role>,
    /// Over the app.
    app: Role,
}

const PEOPLE: [Person; 8] = [
    Person { name: "anonymous", installation: None, app: Role::None },
    Person { name: "guest", installation: Some(Role::None), app: Role::None },
    Person { name: "stranger", installation: Some(Role::Owner), app: Role::None },
    Person { name: "viewer", installation: Some(Role::Viewer), app: Role::Viewer },
    Person { name: "operator", installation: Some(Role::Operator), app: Role::Operator },
    Person { name: "partner", installation: Some(Role::Owner), app: Role::Owner },
    Person { name: "maker", installation: Some(Role::Owner), app: Role::Owner },
    Person { name: "ada", installation: Some(Role::Admin), app: Role::Admin },
];

/// Bodies that are read without complaint, so that nothing but the role decides before the operation does.
fn body(route: &Route, number: usize) -> String {
    let body = match (route.method, route.about.takes.unwrap_or("")) {
        (_, "AddDomain") => json!({"hostname": format!("n{number}.example.org")}),
        (_, "CreateCollaborator") => json!({"user": "nobody@example.com"}),
        (_, "CreateCronEntry") => json!({"command": "true", "schedule": "@daily"}),
        (_, "CreateDyno") => json!({"command": "true"}),
        (_, "CreateRelease") => json!({"release": "v99"}),
        (_, "CreateBuild") => json!({"source_blob": {"url": "https://nowhere.example/x.tgz"}}),
        (_, "CreateAccount") => json!({"email": format!("n{number}@example.org")}),
        (_, "UpdateBuildpacks") => json!({"updates": []}),
        (_, "UpdateFormation") => json!({"updates": []}),
        (_, "UpdateFeature") => json!({"enabled": true}),
        (_, "UpdateApp") => json!({"maintenance": false}),
        ("POST" | "PUT" | "PATCH", _) => json!({}),
        (_, _) => return String::new(),
    };
    body.to_string()
}

/// A path to things that mostly are not there: whoever may ask is told so by another 404 than the app's own.
fn path(route: &Route, person: &Person) -> String {
    let absent = "01234567-89ab-4cde-8f01-23456789abcd";
    let app = if (route.method, route.path) == ("DELETE", "/apps/{app}") {
        format!("victim-{}", person.name)
    } else {
        "shared".to_owned()
    };
    let path = route.path.replace("{app}", &app).replace("{repository}", "shared.git");
    let path = path.replace("{user}", "~").replace("{session}", "~").replace("{feature}", "preboot");
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { absent } else { segment });
    let path = segments.collect::<Vec<_>>().join("/");
    if path.ends_with("/info/refs") { format!("{path}?service=git-upload-pack") } else { path }
}

/// What came of it, in one word.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    NoToken,
    Forbidden,
    Hidden,
}

fn verdict(answer: &Answer) -> Verdict {
    let resource = serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default();
    let about_app = resource["resource"] == "app" || answer.text().starts_with("Couldn't find that app");
    match answer.status {
        401 => Verdict::NoToken,
        403 => Verdict::Forbidden,
        404 if about_app => Verdict::Hidden,
        _ => Verdict::Allowed,
    }
}

fn expected(needs: Needs, person: &Person) -> Verdict {
    let Some(installation) = person.installation else {
        return if matches!(needs, Needs::Nothing | Needs::Ticket) {
            Verdict::Allowed
        } else {
            Verdict::NoToken
        };
    };
    let held = |held: Role, action: Action| held != Role::None && held.includes(action.least_role());
    match needs {
        Needs::Nothing | Needs::Ticket | Needs::Token => Verdict::Allowed,
        Needs::SomeApp(action) if held(person.app, action) => Verdict::Allowed,
        Needs::SomeApp(_) if held(installation, Action::AppCreate) => Verdict::Allowed,
        Needs::Installation(action) if held(installation, action) => Verdict::Allowed,
        Needs::SomeApp(_) | Needs::Installation(_) => Verdict::Forbidden,
        Needs::App(action) if held(person.app, action) => Verdict::Allowed,
        Needs::App(_) if person.app == Role::None => Verdict::Hidden,
        Needs::App(_) => Verdict::Forbidden,
    }
}

/// Makes the people, and apps of `maker` that are shared with some of them.
fn settle(world: &World) -> Vec<Client> {
    let admin = world.client();
    let mut clients = Vec::new();
    for person in &PEOPLE {
        let token = match (person.name, person.installation) {
            ("ada", _) => Some(world.token.clone()),
            (_, None) => None,
            (name, Some(role)) => {
                let body = json!({"email": format!("{name}@example.com"), "role": role.name()});
                let made = admin.post("/dozen/accounts", &body.to_string());
                assert_eq!(made.status, 201, "{}", made.text());
                Some(made.json()["token"].as_str().unwrap().to_owned())
            }
        };
        let authorization = token.map(|token| format!("Bearer {token}"));
        clients.push(admin.clone().with_authorization(authorization.as_deref()));
    }
    let maker = &clients[PEOPLE.iter().position(|person| person.name == "maker").unwrap()];
    let victims = PEOPLE.iter().map(|person| format!("victim-{}", person.name));
    for app in std::iter::once("shared".to_owned()).chain(victims) {
        assert_eq!(maker.post("/apps", &json!({"name": app}).to_string()).status, 201);
        for (name, role) in [("viewer", "viewer"), ("operator", "operator"), ("partner", "owner")] {
            let body = json!({"user": format!("{name}@example.com"), "role": role}).to_string();
            assert_eq!(maker.post(&format!("/apps/{app}/collaborators"), &body).status, 201);
        }
    }
    clients
}

fn every_route_as_everybody() {
    let world = World::start();
    let clients = settle(&world);
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for (number, route) in route_table().iter().enumerate() {
        for (person, client) in PEOPLE.iter().zip(&clients) {
            let path = path(route, person);
            let body = body(route, number * PEOPLE.len() + asked);
            let answer = client.send(route.method, &path, &[], body.as_bytes());
            asked += 1;
            let (found, wanted) = (verdict(&answer), expected(route.about.needs, person));
            if found != wanted || answer.status >= 500 {
                let text = answer.text();
                wrong.push(format!(
                    "{} {path} as {}: {found:?} ({}) and not {wanted:?}: {text}",
                    route.method, person.name, answer.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(asked, route_table().len() * PEOPLE.len());
}

fn a_log_address_is_for_those_who_may_read() {
    let world = World::start();
    let clients = settle(&world);
    let anonymous = &clients[0];
    for (person, client) in PEOPLE.iter().zip(&clients) {
        let made = client.post("/apps/shared/log-sessions", r#"{"lines":1}"#);
        if !person.app.includes(Role::Viewer) {
            assert!([401, 404].contains(&made.status), "{}: {}", person.name, made.text());
            continue;
        }
        let url = made.json()["logplex_url"].as_str().unwrap().to_owned();
        let path = url.split_once("/streams/").unwrap().1;
        let read = |ticket: &str| anonymous.get(&format!("/streams/{ticket}")).status;
        assert_eq!(read(path), 200, "{}", person.name);
        // One character of the ticket is another one.
        let other = if path.starts_with('A') { "B" } else { "A" };
        assert_eq!(read(&format!("{other}{}", &path[1..])), 404);
    }
}
