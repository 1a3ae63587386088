//! `stack`, `stack:set`, `regions`, `ps:sizes`: what a server has to choose from.

use crate::failure::Failure;
use crate::session::{AppFlags, Session};
use crate::text::{Style, Table, render_heading};
use api::app::UpdateApp;
use api::client::Client;
use api::dyno_size::DynoSize;
use api::reference::Identity;
use api::region::Region;
use api::stack::Stack;
use clap::Args;

/// `dozen stack`.
#[derive(Debug, Args)]
pub struct ShowStack {
    #[command(flatten)]
    flags: AppFlags,
}

impl ShowStack {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let app = at.ask(Client::app)?;
        let stacks = at.client.stacks()?;
        session.output.data(&stacks, |style| render_stacks(&at.app, &app.stack.name, &stacks, style))
    }
}

fn render_stacks(app: &str, current: &str, stacks: &[Stack], style: Style) -> String {
    let line = |stack: &Stack| {
        if stack.name == current {
            format!("* {}\n", style.green(&stack.name))
        } else {
            format!("  {}\n", stack.name)
        }
    };
    render_heading(&format!("{app} Available Stacks"), style) + &stacks.iter().map(line).collect::<String>()
}

/// `dozen stack:set`.
#[derive(Debug, Args)]
pub struct SetStack {
    /// The stack
    stack: String,
    #[command(flatten)]
    flags: AppFlags,
}

impl SetStack {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let progress = session.output.begin(&format!("Setting stack of {} to {}", at.app, self.stack));
        let change = UpdateApp { build_stack: Some(Identity(self.stack)), ..UpdateApp::default() };
        let app = at.ask(|client, app| client.update_app(app, &change))?;
        progress.done("");
        session.output.data(&app, |_| String::new())
    }
}

/// `dozen regions`.
#[derive(Debug, Args)]
pub struct Regions {}

impl Regions {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let regions = session.client()?.regions()?;
        session.output.data(&regions, |_| render_regions(&regions))
    }
}

fn render_regions(regions: &[Region]) -> String {
    let mut table = Table::default();
    table.row(["ID", "Location", "Runtime"].map(str::to_owned));
    for region in regions {
        table.row([region.name.clone(), region.description.clone(), "Common Runtime".to_owned()]);
    }
    table.render()
}

/// `dozen ps:sizes`.
#[derive(Debug, Args)]
pub struct Sizes {}

impl Sizes {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let sizes = session.client()?.dyno_sizes()?;
        session.output.data(&sizes, |_| render_sizes(&sizes))
    }
}

fn render_sizes(sizes: &[DynoSize]) -> String {
    let mut sizes: Vec<_> = sizes.iter().collect();
    sizes.sort_by(|a, b| a.memory.total_cmp(&b.memory).then_with(|| a.name.cmp(&b.name)));
    let mut table = Table::default();
    table.row(["Size", "Memory", "Processor share"].map(str::to_owned));
    for size in sizes {
        table.row([size.name.clone(), format!("{} GB", size.memory), size.compute.to_string()]);
    }
    table.render()
}
