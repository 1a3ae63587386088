//! `features`, `features:info`, `features:enable`, `features:disable`.

use crate::failure::Failure;
use crate::session::{AppClient, AppFlags, Session};
use crate::text::{Fields, Style, Table, render_heading};
use api::client::{Client, ClientError};
use api::feature::{Feature, UpdateFeature};
use clap::Args;

/// `dozen features`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    flags: AppFlags,
}

impl List {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        session.app_client(&self.flags)?.show_list(session, Client::features, render_features)
    }
}

fn render_features(app: &str, features: &[Feature], style: Style) -> String {
    let mut table = Table::default();
    for feature in features {
        let mark = if feature.enabled { "[+]" } else { "[ ]" };
        table.row([mark.to_owned(), feature.name.clone(), feature.description.clone()]);
    }
    render_heading(&format!("App Features {app}"), style) + &table.render()
}

/// `dozen features:info`.
#[derive(Debug, Args)]
pub struct Info {
    /// The feature
    feature: String,
    #[command(flatten)]
    flags: AppFlags,
}

impl Info {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let found = at.client.feature(&at.app, &self.feature);
        let feature = found.map_err(|error| feature_failure(&at, &self.feature, error))?;
        session.output.data(&feature, |style| render_feature(&feature, style))
    }
}

fn render_feature(feature: &Feature, style: Style) -> String {
    let mut fields = Fields::default();
    fields.add("Description", &feature.description);
    fields.add("Enabled", feature.enabled.to_string());
    render_heading(&feature.name, style) + &fields.render(style)
}

/// `dozen features:enable`.
#[derive(Debug, Args)]
pub struct Enable {
    /// The feature
    feature: String,
    #[command(flatten)]
    flags: AppFlags,
}

impl Enable {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        switch(session, &self.flags, &self.feature, true)
    }
}

/// `dozen features:disable`.
#[derive(Debug, Args)]
pub struct Disable {
    /// The feature
    feature: String,
    #[command(flatten)]
    flags: AppFlags,
}

impl Disable {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        switch(session, &self.flags, &self.feature, false)
    }
}

fn switch(session: &Session, flags: &AppFlags, feature: &str, on: bool) -> Result<(), Failure> {
    let at = session.app_client(flags)?;
    let what = if on { "Enabling" } else { "Disabling" };
    let progress = session.output.begin(&format!("{what} {feature} for {}", at.app));
    let switched = at.client.update_feature(&at.app, feature, &UpdateFeature { enabled: Some(on) });
    let switched = switched.map_err(|error| feature_failure(&at, feature, error))?;
    progress.done("");
    session.output.data(&switched, |_| String::new())
}

fn feature_failure(at: &AppClient, typed: &str, error: ClientError) -> Failure {
    at.part_failure("feature", typed, Client::features, |feature| &feature.name, error)
}
