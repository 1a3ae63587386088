//! `docs/reference/openapi.json`: the published description of the API, made from the route table and the wire types.

use crate::Case;
use crate::coverage::keep_up;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use server::route_table;
use server::table::{Gives, Needs, Route};
use std::collections::BTreeSet;
use std::path::PathBuf;

pub const CASES: &[Case] = &[
    ("openapi::the_description_is_up_to_date", the_description_is_up_to_date),
    ("openapi::every_reference_leads_somewhere", every_reference_leads_somewhere),
];

/// Makes the description of a type, and of all that it names.
type Describe = fn(&mut SchemaGenerator) -> Schema;

macro_rules! types {
    ($($name:literal => $type:ty),+ $(,)?) => {
        &[$(($name, |generator| generator.subschema_for::<$type>())),+]
    };
}

/// The types that the route table names.
const TYPES: &[(&str, Describe)] = types! {
    "Account" => api::account::Account,
    "AccountEntry" => api::dozen::account::AccountEntry,
    "AddDomain" => api::domain_name::AddDomain,
    "App" => api::app::App,
    "AppStatus" => api::dozen::status::AppStatus,
    "Authorization" => api::oauth::Authorization,
    "Build" => api::build::Build,
    "BuildpackInstallation" => api::buildpack::BuildpackInstallation,
    "Collaborator" => api::collaborator::Collaborator,
    "ConfigPatch" => api::config_vars::ConfigPatch,
    "ConfigVars" => api::config_vars::ConfigVars,
    "CreateAccount" => api::dozen::account::CreateAccount,
    "CreateApp" => api::app::CreateApp,
    "CreateBuild" => api::build::CreateBuild,
    "CreateAuthorization" => api::oauth::CreateAuthorization,
    "CreateCollaborator" => api::collaborator::CreateCollaborator,
    "CreateCronEntry" => api::dozen::cron::CreateCronEntry,
    "CreateDyno" => api::dyno::CreateDyno,
    "CreateKey" => api::key::CreateKey,
    "CreateLogSession" => api::log_session::CreateLogSession,
    "CreateRelease" => api::release::CreateRelease,
    "CreatedAccount" => api::dozen::account::CreatedAccount,
    "CronEntry" => api::dozen::cron::CronEntry,
    "CronRun" => api::dozen::cron::CronRun,
    "DoctorReport" => api::dozen::doctor::DoctorReport,
    "Domain" => api::domain_name::Domain,
    "Dyno" => api::dyno::Dyno,
    "DynoSize" => api::dyno_size::DynoSize,
    "Empty" => api::dyno::Empty,
    "Error" => api::error::ErrorBody,
    "Feature" => api::feature::Feature,
    "Formation" => api::formation::Formation,
    "FormationChange" => api::formation::FormationChange,
    "Generation" => api::generation::Generation,
    "Key" => api::key::Key,
    "LogSession" => api::log_session::LogSession,
    "Process" => api::dozen::process::Process,
    "ProcessUsage" => api::dozen::usage::ProcessUsage,
    "RateLimit" => api::account::RateLimit,
    "Region" => api::region::Region,
    "Release" => api::release::Release,
    "ReleaseReport" => api::dozen::release::ReleaseReport,
    "ServerInfo" => api::dozen::server::ServerInfo,
    "Source" => api::source::Source,
    "Stack" => api::stack::Stack,
    "UpdateApp" => api::app::UpdateApp,
    "UpdateAuthorization" => api::oauth::UpdateAuthorization,
    "UpdateBuildpacks" => api::buildpack::UpdateBuildpacks,
    "UpdateDomain" => api::domain_name::UpdateDomain,
    "UpdateFeature" => api::feature::UpdateFeature,
    "UpdateFormation" => api::formation::UpdateFormation,
};

fn the_description_is_up_to_date() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
    let mut text = serde_json::to_string_pretty(&describe()).unwrap();
    text.push('\n');
    keep_up(&path, &text);
}

fn every_reference_leads_somewhere() {
    let described = describe();
    let mut references = BTreeSet::new();
    collect_references(&described, &mut references);
    assert!(references.len() > TYPES.len() / 2, "{references:?}");
    let dangling: Vec<_> = references
        .iter()
        .filter(|place| described.pointer(place.trim_start_matches('#')).is_none())
        .collect();
    assert!(dangling.is_empty(), "{dangling:?}");
    let operations: BTreeSet<_> = route_table().iter().map(operation_id).collect();
    assert_eq!(operations.len(), route_table().len(), "operations have names of their own");
}

fn collect_references(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            into.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|inner| collect_references(inner, into));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect_references(inner, into)),
        _ => {}
    }
}

fn describe() -> Value {
    // As it is written: what an answer always has is required.
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    let mut table = route_table();
    table.sort_by_key(|route| (route.path, route.method));
    for route in &table {
        let operation = describe_operation(route, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Dozen",
            "version": "0.0.0",
            "description": "The Heroku Platform API, as far as Dozen has it, and Dozen's own extensions below /dozen."
        },
        "security": [{ "bearer": [] }, { "basic": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "basic": { "type": "http", "scheme": "basic", "description": "The token as password; any user name." }
            },
            "schemas": generator.take_definitions(true)
        }
    })
}

fn describe_operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.about.summary,
        "responses": describe_responses(route, generator),
    });
    let mut parameters: Vec<_> = parameters(route.path).map(describe_parameter).collect();
    if matches!(route.about.gives, Gives::Many(_)) && route.method == "GET" {
        parameters.push(json!({
            "name": "Range", "in": "header", "schema": { "type": "string" },
            "description": "FIELD ..; max=COUNT, order=asc|desc"
        }));
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = route.about.takes {
        operation["requestBody"] = json!({ "content": json_content(reference(body, generator)) });
    }
    match route.about.needs {
        Needs::Nothing | Needs::Ticket => operation["security"] = json!([]),
        Needs::Token => {}
        Needs::SomeApp(action) | Needs::App(action) | Needs::Installation(action) => {
            operation["x-dozen-action"] = action.name().into();
            operation["x-dozen-least-role"] = action.least_role().name().into();
        }
    }
    operation
}

fn describe_responses(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    let refusal = json_content(reference("Error", generator));
    responses.insert("default".to_owned(), json!({ "description": "A refusal", "content": refusal }));
    let (status, content) = match route.about.gives {
        Gives::One(status, name) => (status, json_content(reference(name, generator))),
        Gives::Many(name) => {
            let list = json!({ "type": "array", "items": reference(name, generator) });
            if route.method == "GET" {
                let part = json!({
                    "description": "A part of the list: more follows",
                    "headers": { "Next-Range": { "schema": { "type": "string" } } },
                    "content": json_content(list.clone())
                });
                responses.insert("206".to_owned(), part);
            }
            (200, json_content(list))
        }
        Gives::Bytes(media_type) => (200, json!({ media_type: {} })),
        Gives::Refusal(_) => return responses.into(),
    };
    responses.insert(status.to_string(), json!({ "description": route.about.summary, "content": content }));
    responses.into()
}

fn reference(name: &str, generator: &mut SchemaGenerator) -> Value {
    let found = TYPES.iter().find(|(known, _)| *known == name);
    let (_, describe) = found.unwrap_or_else(|| panic!("{name} is not among the described types"));
    describe(generator).to_value()
}

fn json_content(schema: Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn describe_parameter(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
}

/// `get_apps_app_dynos`
fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '-']).filter(|word| !word.is_empty());
    let words: Vec<_> = words
        .map(|word| match word.strip_prefix('{') {
            Some(parameter) => format!("by_{}", parameter.trim_end_matches('}')),
            None => word.to_owned(),
        })
        .collect();
    format!("{}_{}", route.method.to_lowercase(), words.join("_"))
}
