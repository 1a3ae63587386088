//! What a push wants and what is done about it. Pure: the hook's lines in, a plan out.

use domain::names::CommitId;

/// Branches that are built and released when pushed.
pub const DEPLOY_BRANCHES: [&str; 2] = ["main", "master"];
/// Refs that one push may change.
pub const MAX_UPDATES: usize = 1000;

/// One line of a hook's standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// `None`: the ref is made.
    pub old: Option<CommitId>,
    /// `None`: the ref is deleted.
    pub new: Option<CommitId>,
    pub name: String,
}

/// What to do about a whole push; git accepts or refuses all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushPlan {
    Refuse {
        reason: String,
    },
    /// Nothing is built.
    Keep {
        notes: Vec<String>,
    },
    Deploy {
        deploy: Deploy,
        notes: Vec<String>,
    },
}

/// The deploy branch's update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    /// The full name of the ref.
    pub name: String,
    /// What the pusher believed the ref to be.
    pub old: Option<CommitId>,
    pub commit: CommitId,
}

/// A line that git would not have written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{line}\" is not a line of a receive hook: expected old id, new id, ref name")]
pub struct BadUpdate {
    line: String,
}

/// Reads `<old> <new> <ref>`, all zeros meaning absent.
pub fn parse_update(line: &str) -> Result<Update, BadUpdate> {
    let bad = || BadUpdate { line: line.chars().take(200).collect() };
    let mut words = line.splitn(3, ' ');
    let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) else {
        return Err(bad());
    };
    let object = |text: &str| -> Result<Option<CommitId>, BadUpdate> {
        let id: CommitId = text.parse().map_err(|_| bad())?;
        Ok(Some(id).filter(|id| id.as_str().bytes().any(|b| b != b'0')))
    };
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(bad());
    }
    Ok(Update { old: object(old)?, new: object(new)?, name: name.to_owned() })
}

/// Decides about a push.
pub fn plan_push(updates: &[Update]) -> PushPlan {
    if updates.len() > MAX_UPDATES {
        let reason = format!("this push changes {} refs; {MAX_UPDATES} are allowed at once", updates.len());
        return PushPlan::Refuse { reason };
    }
    if let Some(reason) = updates.iter().find_map(refusal) {
        return PushPlan::Refuse { reason };
    }
    let mut deploys = updates.iter().filter_map(deploy_of);
    let notes = updates.iter().filter_map(note).collect();
    match (deploys.next(), deploys.next()) {
        (None, _) => PushPlan::Keep { notes },
        (Some(deploy), None) => PushPlan::Deploy { deploy, notes },
        (Some(_), Some(_)) => {
            let reason =
                "this push changes both main and master, and either would be deployed; push one of them";
            PushPlan::Refuse { reason: reason.to_owned() }
        }
    }
}

fn refusal(update: &Update) -> Option<String> {
    let name = &update.name;
    if !name.starts_with("refs/heads/") && !name.starts_with("refs/tags/") {
        return Some(format!("{name} is neither a branch nor a tag; push branches and tags only"));
    }
    let deletes = update.new.is_none() && deploy_branch(name).is_some();
    deletes.then(|| {
        format!("{name} is the deploy branch and cannot be deleted; to remove the app: dozen apps:destroy")
    })
}

fn deploy_branch(name: &str) -> Option<&str> {
    name.strip_prefix("refs/heads/").filter(|branch| DEPLOY_BRANCHES.contains(branch))
}

fn deploy_of(update: &Update) -> Option<Deploy> {
    deploy_branch(&update.name)?;
    let commit = update.new.clone()?;
    Some(Deploy { name: update.name.clone(), old: update.old.clone(), commit })
}

fn note(update: &Update) -> Option<String> {
    if deploy_branch(&update.name).is_some() || update.new.is_none() {
        return None;
    }
    let short = update.name.strip_prefix("refs/heads/").or_else(|| update.name.strip_prefix("refs/tags/"))?;
    let source =
        if update.name.starts_with("refs/tags/") { format!("{short}^{{}}") } else { short.to_owned() };
    Some(format!(
        "{short} is kept but not deployed: only main and master are. To deploy it, push {source}:main"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn update(old: char, new: char, name: &str) -> Update {
        let id = |c: char| c.to_string().repeat(40);
        parse_update(&format!("{} {} {name}", id(old), id(new))).unwrap()
    }

    #[test]
    fn plans() {
        let deployed = |updates: &[Update]| matches!(plan_push(updates), PushPlan::Deploy { .. });
        let kept = |updates: &[Update]| matches!(plan_push(updates), PushPlan::Keep { .. });
        let refused = |updates: &[Update]| matches!(plan_push(updates), PushPlan::Refuse { .. });
        let main = update('0', 'a', "refs/heads/main");
        let master = update('a', 'b', "refs/heads/master");
        let topic = update('0', 'a', "refs/heads/topic");
        let tag = update('0', 'a', "refs/tags/v1");
        assert!(deployed(std::slice::from_ref(&main)) && deployed(std::slice::from_ref(&master)));
        assert!(deployed(&[topic.clone(), main.clone(), tag.clone()]));
        assert!(kept(&[topic.clone(), tag]) && kept(&[]));
        assert!(kept(&[update('a', '0', "refs/heads/topic")]), "other branches may be deleted");
        assert!(refused(&[main.clone(), master]), "which one?");
        assert!(refused(&[update('a', '0', "refs/heads/main")]), "no deletion of the deploy branch");
        for name in ["refs/replace/x", "refs/notes/x", "refs/dozen/x", "HEAD", "refs/for/main"] {
            assert!(refused(&[main.clone(), update('0', 'a', name)]), "{name}");
        }
        assert!(refused(&vec![topic; MAX_UPDATES + 1]));
    }

    #[test]
    fn notes_say_how_to_deploy() {
        let PushPlan::Keep { notes } =
            plan_push(&[update('0', 'a', "refs/heads/x"), update('0', 'a', "refs/tags/v1")])
        else {
            panic!("kept")
        };
        assert!(notes[0].contains("push x:main") && notes[1].contains("push v1^{}:main"), "{notes:?}");
    }

    #[test]
    fn bad_lines() {
        let id = "a".repeat(40);
        for line in ["", "a b c", &format!("{id} {id}"), &format!("{id} {id} "), &format!("{id} {id} x\u{7}")]
        {
            assert!(parse_update(line).is_err(), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in ".{0,300}") {
            if let Ok(update) = parse_update(&line) {
                prop_assert!(!update.name.is_empty());
            }
        }
    }
}
