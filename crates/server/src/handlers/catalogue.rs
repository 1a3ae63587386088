//! What a server has to choose from: regions, stacks, sizes of processes, generations. Of most there is one.

use super::convert::{GENERATION, REGION, REGION_ID, STACK, STACK_ID, generation, size};
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::Caller;
use crate::http::error::Refusal;
use crate::paging::Field;
use crate::state::State;
use crate::table::{About, Routes};
use api::Timestamp;
use api::dyno_size::DynoSize;
use api::generation::Generation;
use api::region::{Region, RegionProvider};
use api::stack::Stack;
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::formation::Size;
use domain::policy::Action;
use engine::{AppRef, ops};

/// Clients expect one of Amazon's names here; it means nothing.
const PROVIDER_REGION: &str = "us-east-1";
const GIGABYTE: f64 = 1024.0 * 1024.0 * 1024.0;

pub fn routes() -> Routes {
    Routes::new()
        .get("/regions", regions, About::account("List the regions: a server is one").many("Region"))
        .get("/regions/{region}", region, About::account("Show a region").one("Region"))
        .get("/stacks", stacks, About::account("List the stacks: a server has one").many("Stack"))
        .get("/stacks/{stack}", stack, About::account("Show a stack").one("Stack"))
        .get(
            "/apps/{app}/available-stacks",
            stacks_of_app,
            About::app(Action::AppRead, "List the stacks that an app may use").many("Stack"),
        )
        .get("/dyno-sizes", sizes, About::account("List the sizes of processes").many("DynoSize"))
        .get("/dyno-sizes/{size}", one_size, About::account("Show a size").one("DynoSize"))
        .get(
            "/apps/{app}/available-dyno-sizes",
            sizes_of_app,
            About::app(Action::AppRead, "List the sizes that an app may use").many("DynoSize"),
        )
        .get(
            "/generations",
            generations,
            About::account("List the generations: there is one").many("Generation"),
        )
        .get(
            "/generations/{generation}",
            one_generation,
            About::account("Show a generation").one("Generation"),
        )
}

fn epoch() -> Timestamp {
    Timestamp::from_unix_seconds(0)
}

/// The one of a list that a path names by name or id.
fn find<T>(
    all: impl IntoIterator<Item = T>,
    noun: &str,
    wanted: &str,
    is_it: impl Fn(&T) -> bool,
) -> Result<Json<T>, Refusal> {
    let missing = || Refusal::not_found(noun, format!("Couldn't find the {noun} {wanted}."));
    all.into_iter().find(is_it).map(Json).ok_or_else(missing)
}

fn the_region() -> Region {
    let provider = RegionProvider { name: "dozen".to_owned(), region: PROVIDER_REGION.to_owned() };
    Region {
        country: "This machine".to_owned(),
        created_at: epoch(),
        description: "This server".to_owned(),
        id: REGION_ID,
        locale: "This server".to_owned(),
        name: REGION.to_owned(),
        private_capable: false,
        provider,
        updated_at: epoch(),
    }
}

async fn regions(_caller: Caller, wanted: Wanted) -> Response {
    const FIELDS: &[Field<Region>] = &[Field { name: "name", text: |row| row.name.clone() }];
    wanted.answer(vec![the_region()], FIELDS, |row| row)
}

async fn region(Path(wanted): Path<String>, _caller: Caller) -> Result<Json<Region>, Refusal> {
    find([the_region()], "region", &wanted, |row| row.name == wanted || row.id.to_string() == wanted)
}

fn the_stack() -> Stack {
    Stack {
        default: true,
        created_at: epoch(),
        id: STACK_ID,
        name: STACK.to_owned(),
        state: "public".to_owned(),
        updated_at: epoch(),
    }
}

const STACK_FIELDS: &[Field<Stack>] = &[Field { name: "name", text: |row| row.name.clone() }];

async fn stacks(_caller: Caller, wanted: Wanted) -> Response {
    wanted.answer(vec![the_stack()], STACK_FIELDS, |row| row)
}

async fn stack(Path(wanted): Path<String>, _caller: Caller) -> Result<Json<Stack>, Refusal> {
    find([the_stack()], "stack", &wanted, |row| row.name == wanted || row.id.to_string() == wanted)
}

async fn stacks_of_app(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    blocking(move || ops::apps::info(&state.engine, &caller.context(), &AppRef::new(&app))).await?;
    Ok(wanted.answer(vec![the_stack()], STACK_FIELDS, |row| row))
}

fn render_size(of: Size) -> DynoSize {
    let (reference, limits) = (size(of), of.limits());
    let smallest = Size::Eco.limits().cpu_weight;
    DynoSize {
        architecture: std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64"),
        compute: limits.cpu_weight / smallest,
        cost: None,
        dedicated: false,
        precise_dyno_units: f64::from(limits.cpu_weight) / f64::from(smallest),
        generation: generation(),
        id: reference.id,
        memory: limits.memory_bytes as f64 / GIGABYTE,
        name: reference.name,
        private_space_only: false,
    }
}

fn all_sizes() -> Vec<DynoSize> {
    Size::ALL.iter().copied().map(render_size).collect()
}

const SIZE_FIELDS: &[Field<DynoSize>] = &[
    Field { name: "name", text: |row| row.name.clone() },
    Field { name: "id", text: |row| row.id.to_string() },
];

async fn sizes(_caller: Caller, wanted: Wanted) -> Response {
    wanted.answer(all_sizes(), SIZE_FIELDS, |row| row)
}

async fn one_size(Path(wanted): Path<String>, _caller: Caller) -> Result<Json<DynoSize>, Refusal> {
    let is_it = |row: &DynoSize| row.name.eq_ignore_ascii_case(&wanted) || row.id.to_string() == wanted;
    find(all_sizes(), "dyno_size", &wanted, is_it)
}

async fn sizes_of_app(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    blocking(move || ops::apps::info(&state.engine, &caller.context(), &AppRef::new(&app))).await?;
    Ok(wanted.answer(all_sizes(), SIZE_FIELDS, |row| row))
}

fn the_generation() -> Generation {
    let reference = generation();
    Generation { created_at: epoch(), id: reference.id, name: reference.name, updated_at: epoch() }
}

async fn generations(_caller: Caller, wanted: Wanted) -> Response {
    const FIELDS: &[Field<Generation>] = &[Field { name: "name", text: |row| row.name.clone() }];
    wanted.answer(vec![the_generation()], FIELDS, |row| row)
}

async fn one_generation(Path(wanted): Path<String>, _caller: Caller) -> Result<Json<Generation>, Refusal> {
    let is_it = |row: &Generation| wanted == GENERATION || row.id.to_string() == wanted;
    find([the_generation()], "generation", &wanted, is_it)
}
