//! The release rules, by table and by random histories.

use super::*;
use crate::names::{ConfigKey, ProcessType};
use crate::secret::Secret;
use proptest::prelude::*;

fn slug(n: u64) -> SlugId {
    format!("sha256:{n:064x}").parse().unwrap()
}

fn artifact(n: u64) -> Artifact {
    let web: ProcessType = "web".parse().unwrap();
    Artifact {
        slug: Some(slug(n)),
        slug_size_bytes: n,
        process_types: [(web, format!("serve {n}"))].into(),
        app_json: AppJson::default(),
        commit: Some(format!("{n:040x}").parse().unwrap()),
        version: None,
        build: Some(BuildId::from_u128(u128::from(n))),
    }
}

fn vars(n: u64) -> ConfigVars {
    [("N".parse::<ConfigKey>().unwrap(), Secret::new(n.to_string()))].into_iter().collect()
}

fn patch(n: Option<u64>) -> ConfigPatch {
    [("N".parse().unwrap(), n.map(|n| Secret::new(n.to_string())))].into_iter().collect()
}

fn attachments(n: u64) -> Vec<AttachmentRef> {
    let attachment = AttachmentId::from_u128(u128::from(n));
    vec![AttachmentRef { name: "DATABASE".into(), attachment, credential: n.to_string() }]
}

fn failed() -> ReleaseStatus {
    ReleaseStatus::Failed { reason: "boom".into() }
}

#[test]
fn steps_forward_only() {
    use ReleaseStatus::{Failed, Pending, PhaseRunning, Starting, Succeeded, Superseded};
    let fail = || ReleaseStep::Failed { reason: "boom".into() };
    let steps = [
        ReleaseStep::PhaseStarted,
        ReleaseStep::BootStarted,
        ReleaseStep::Promoted,
        fail(),
        ReleaseStep::Superseded,
    ];
    let table = [
        (Pending, [true, true, true, true, true]),
        (PhaseRunning, [true, true, true, true, true]),
        (Starting, [false, true, true, true, true]),
        (Succeeded, [false, false, true, false, false]),
        (Failed { reason: "boom".into() }, [false, false, false, true, false]),
        (Superseded, [false, false, false, false, true]),
    ];
    for (status, allowed) in table {
        for (step, expected) in steps.iter().zip(allowed) {
            assert_eq!(status.after(step.clone()).is_ok(), expected, "{status:?} {step:?}");
        }
    }
    let long = Pending.after(ReleaseStep::Failed { reason: "x".repeat(2000) }).unwrap();
    assert_eq!(long, Failed { reason: "x".repeat(REASON_LIMIT_CHARS) });
}

#[test]
fn a_build_patches_the_artifact_only() {
    let basis =
        Basis { config: vars(1), attachments: attachments(1), sound: artifact(1), newest_build: Some(3) };
    let draft = draft_from_build(&basis, 4, artifact(0xa97f_3d42)).unwrap();
    assert_eq!((draft.config, draft.attachments, draft.build_number), (vars(1), attachments(1), Some(4)));
    assert_eq!(draft.artifact, artifact(0xa97f_3d42));
    assert_eq!(draft.description, "Deploy 00000000");
    for old in [3, 2] {
        let refused = draft_from_build(&basis, old, artifact(2));
        assert_eq!(refused, Err(ReleaseRefused::OlderBuild { build: old, newest: 3 }));
    }
}

#[test]
fn a_rollback_takes_all_but_the_attachments() {
    let basis =
        Basis { config: vars(9), attachments: attachments(9), sound: artifact(9), newest_build: Some(3) };
    let target = |status, artifact| Release {
        id: ReleaseId::from_u128(1),
        app: AppId::from_u128(1),
        version: ReleaseVersion(102),
        artifact,
        attachments: attachments(1),
        build_number: Some(1),
        description: String::new(),
        actor: None,
        created_at: WallMillis(0),
        status,
        status_at: WallMillis(0),
    };
    let draft = draft_from_rollback(&basis, &target(ReleaseStatus::Succeeded, artifact(1)), vars(1)).unwrap();
    assert_eq!((draft.artifact, draft.config, draft.attachments), (artifact(1), vars(1), attachments(9)));
    assert_eq!((draft.description.as_str(), draft.build_number), ("Rollback to v102", None));
    let refused = [
        target(failed(), artifact(1)),
        target(ReleaseStatus::Superseded, artifact(1)),
        target(ReleaseStatus::Starting, artifact(1)),
        target(ReleaseStatus::Succeeded, Artifact::default()),
    ];
    for target in refused {
        assert!(draft_from_rollback(&basis, &target, vars(1)).is_err(), "{target:?}");
    }
}

#[derive(Debug, Clone)]
enum Change {
    Build(u64),
    Config(Option<u64>),
    Rollback(usize),
    End(ReleaseStatus),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        (1..5u64).prop_map(Change::Build),
        proptest::option::of(1..4u64).prop_map(Change::Config),
        (0..6usize).prop_map(Change::Rollback),
        Just(Change::End(ReleaseStatus::Succeeded)),
        Just(Change::End(failed())),
        Just(Change::End(ReleaseStatus::Superseded)),
    ];
    proptest::collection::vec(change, 0..40)
}

#[derive(Debug, Default)]
struct History {
    releases: Vec<(Release, ConfigVars)>,
    builds: u64,
}

impl History {
    fn summaries(&self) -> Vec<Release> {
        self.releases.iter().map(|(release, _)| release.clone()).collect()
    }

    fn basis(&self) -> Basis {
        let all = self.summaries();
        let (head_config, head_attachments) = match self.releases.last() {
            Some((release, config)) => (config.clone(), release.attachments.clone()),
            None => Default::default(),
        };
        Basis {
            config: head_config,
            attachments: head_attachments,
            sound: sound(&all).map(|release| release.artifact.clone()).unwrap_or_default(),
            newest_build: all.iter().filter_map(|release| release.build_number).max(),
        }
    }

    fn append(&mut self, draft: Draft) {
        let number = self.releases.len() as u64 + 1;
        let release = Release {
            id: ReleaseId::from_u128(u128::from(number)),
            app: AppId::from_u128(1),
            version: ReleaseVersion(number),
            artifact: draft.artifact,
            attachments: draft.attachments,
            build_number: draft.build_number,
            description: draft.description,
            actor: None,
            created_at: WallMillis(number),
            status: ReleaseStatus::Pending,
            status_at: WallMillis(number),
        };
        self.releases.push((release, draft.config));
    }

    fn draft(&mut self, change: &Change) -> Option<Draft> {
        let basis = self.basis();
        match change {
            Change::Build(n) => {
                self.builds += 1;
                Some(draft_from_build(&basis, self.builds, artifact(*n)).unwrap())
            }
            Change::Config(n) => draft_from_config(&basis, &patch(*n)).unwrap(),
            Change::Rollback(index) => {
                let (target, config) = self.releases.get(*index)?;
                draft_from_rollback(&basis, target, config.clone()).ok()
            }
            Change::End(status) => {
                if let Some((head, _)) = self.releases.last_mut().filter(|(head, _)| !head.status.is_final())
                {
                    head.status = status.clone();
                }
                None
            }
        }
    }

    fn supersede(&mut self) {
        let old: Vec<_> = superseded(&self.summaries()).map(|release| release.version).collect();
        for (release, _) in self.releases.iter_mut().filter(|(release, _)| old.contains(&release.version)) {
            release.status = release.status.after(ReleaseStep::Superseded).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn any_history_keeps_the_rules(changes in changes()) {
        let mut history = History::default();
        for change in &changes {
            let before = history.basis();
            let Some(draft) = history.draft(change) else { continue };
            match change {
                Change::Build(_) => prop_assert_eq!(&draft.config, &before.config),
                Change::Config(_) => {
                    prop_assert_ne!(&draft.config, &before.config);
                    prop_assert_eq!(&draft.artifact, &before.sound);
                }
                Change::Rollback(index) => {
                    prop_assert_eq!(&draft.artifact, &history.releases[*index].0.artifact);
                    prop_assert!(draft.artifact.slug.is_some());
                }
                Change::End(_) => {}
            }
            prop_assert_eq!(&draft.attachments, &before.attachments);
            history.append(draft);
            history.supersede();
            let all = history.summaries();
            prop_assert!(all.iter().filter(|release| !release.status.is_final()).count() <= 1);
            prop_assert_eq!(candidate(&all).map(|r| r.version), head(&all).map(|r| r.version));
            let slug_of_sound = sound(&all).and_then(|release| release.artifact.slug.clone());
            prop_assert!(slug_of_sound.is_some() || all.iter().all(|r| r.status.has_failed() || r.artifact.slug.is_none()));
        }
    }
}
