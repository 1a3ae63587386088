//! `features`, `features:info`, `features:enable`, `features:disable`.

use crate::failure::Failure;
use crate::session::{AppFlags, Session, app_failure};
use crate::suggest::nearest;
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
        let (client, app) = session.client_and_app(&self.flags)?;
        let features = client.features(&app).map_err(|error| app_failure(&client, &app, error))?;
        session.output.data(&features, |style| render_features(&app, &features, style))
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
        let (client, app) = session.client_and_app(&self.flags)?;
        let found = client.feature(&app, &self.feature);
        let feature = found.map_err(|error| feature_failure(&client, &app, &self.feature, error))?;
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
    let (client, app) = session.client_and_app(flags)?;
    let what = if on { "Enabling" } else { "Disabling" };
    let progress = session.output.begin(&format!("{what} {feature} for {app}"));
    let switched = client.update_feature(&app, feature, &UpdateFeature { enabled: Some(on) });
    let switched = switched.map_err(|error| feature_failure(&client, &app, feature, error))?;
    progress.done("");
    session.output.data(&switched, |_| String::new())
}

fn feature_failure(client: &Client, app: &str, typed: &str, error: ClientError) -> Failure {
    if error.api().is_none_or(|body| body.resource.as_deref() != Some("feature")) {
        return app_failure(client, app, error);
    }
    let known = client.features(app).unwrap_or_default();
    let failure = Failure::from(error);
    match nearest(typed, known.iter().map(|feature| feature.name.as_str())) {
        Some(near) => failure.hint(format!("Did you mean {near}?")),
        None => failure.hint("Features are listed by `dozen features`."),
    }
}
