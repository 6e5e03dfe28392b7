//! The order in which the tasks of a file are made: what others belong to or wait for comes before them.

use super::item::{Item, Problems};
use crate::entity::MAX_DEPTH;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Tasks of one step of an import.
pub(super) const PART: usize = 200;

/// What one step of an import does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Tasks to be made or changed.
    pub items: Vec<Item>,
    /// Who waits for whom, where the other one came later in the file's order: by keys.
    pub links: Vec<(String, Vec<String>)>,
}

/// The tasks in the order in which they are made, in parts. What does not go together is left out and told of.
pub(super) fn arrange(items: Vec<Item>, problems: &mut Problems) -> Vec<Part> {
    let mut items = unique(items, problems);
    let index: HashMap<String, usize> = items
        .iter()
        .enumerate()
        .map(|(at, item)| (item.key.clone(), at))
        .collect();
    cut_circles(&mut items, &index, problems);
    cut_depth(&mut items, &index, problems);
    let order = order(&items, &index);
    let place: HashMap<usize, usize> = order.iter().enumerate().map(|(place, at)| (*at, place)).collect();
    let mut links = Vec::new();
    for (at, item) in items.iter_mut().enumerate() {
        let own = place.get(&at);
        let (later, before): (Vec<String>, Vec<String>) = std::mem::take(&mut item.waits)
            .into_iter()
            .filter(|key| *key != item.key)
            .partition(|key| index.get(key).and_then(|other| place.get(other)) > own);
        item.waits = before;
        if !later.is_empty() {
            links.push((item.key.clone(), later));
        }
    }
    let mut slots: Vec<Option<Item>> = items.into_iter().map(Some).collect();
    let ordered: Vec<Item> = order
        .into_iter()
        .filter_map(|at| slots.get_mut(at).and_then(Option::take))
        .collect();
    let tasks = ordered.chunks(PART).map(|items| Part {
        items: items.to_vec(),
        links: Vec::new(),
    });
    let links = links.chunks(PART).map(|links| Part {
        items: Vec::new(),
        links: links.to_vec(),
    });
    tasks.chain(links).collect()
}

/// Of two tasks with the same key the first counts.
fn unique(items: Vec<Item>, problems: &mut Problems) -> Vec<Item> {
    let mut seen = HashSet::new();
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        if seen.insert(item.key.clone()) {
            kept.push(item);
        } else {
            problems.error(
                &item.at,
                "duplicate",
                "Another row has the same id; this one is left out.",
            );
        }
    }
    kept
}

/// Parents that lead back to their children are none.
fn cut_circles(items: &mut [Item], index: &HashMap<String, usize>, problems: &mut Problems) {
    let above = |items: &[Item], at: usize| {
        let parent = items.get(at)?.parent.as_ref()?;
        index.get(parent).copied()
    };
    // 0 for not looked at, 1 for on the way up from here, 2 for known to end.
    let mut state = vec![0_u8; items.len()];
    for start in 0..items.len() {
        let (mut way, mut at) = (Vec::new(), Some(start));
        while let Some(here) = at {
            match state.get(here).copied() {
                Some(0) => {
                    state[here] = 1;
                    way.push(here);
                    at = above(items, here);
                }
                Some(1) => {
                    if let Some(item) = items.get_mut(here) {
                        item.parent = None;
                        let words = "Its parents lead back to it; it is put at the top.";
                        problems.warn(&item.at, "cycle", words);
                    }
                    break;
                }
                _ => break,
            }
        }
        for here in way {
            state[here] = 2;
        }
    }
}

/// Tasks deeper than tasks may be go beside their parents.
fn cut_depth(items: &mut [Item], index: &HashMap<String, usize>, problems: &mut Problems) {
    let limit = usize::try_from(MAX_DEPTH).unwrap_or(0);
    let mut depths: Vec<Option<usize>> = vec![None; items.len()];
    for start in 0..items.len() {
        let (mut way, mut at) = (Vec::new(), Some(start));
        let mut depth = None;
        while let Some(here) = at {
            if let Some(known) = depths.get(here).copied().flatten() {
                depth = Some(known);
                break;
            }
            way.push(here);
            let parent = items.get(here).and_then(|item| item.parent.as_ref());
            at = parent.and_then(|parent| index.get(parent)).copied();
        }
        for here in way.into_iter().rev() {
            let mut own = depth.map_or(0, |above| above + 1);
            if own > limit {
                // Its parent is as deep as may be: their common parent takes it.
                let parent = items
                    .get(here)
                    .and_then(|item| index.get(item.parent.as_ref()?))
                    .copied();
                let beside = parent.and_then(|parent| items.get(parent)?.parent.clone());
                if let Some(item) = items.get_mut(here) {
                    item.parent = beside;
                    let message = format!(
                        "Tasks may be {limit} levels below the top; this one goes beside its parent."
                    );
                    problems.warn(&item.at, "too_deep", message);
                }
                own = limit;
            }
            depths[here] = Some(own);
            depth = Some(own);
        }
    }
}

/// Parents first, then what is waited for where that closes no circle; otherwise as they stand in the file.
fn order(items: &[Item], index: &HashMap<String, usize>) -> Vec<usize> {
    let needs = |at: usize| {
        let item = items.get(at);
        let keys = item
            .into_iter()
            .flat_map(|item| item.parent.iter().chain(&item.waits));
        keys.filter_map(|key| index.get(key).copied()).collect::<Vec<_>>()
    };
    let mut state = vec![0_u8; items.len()];
    let mut order = Vec::with_capacity(items.len());
    for start in 0..items.len() {
        let mut open = vec![start];
        while let Some(here) = open.last().copied() {
            if state[here] == 0 {
                state[here] = 1;
                open.extend(needs(here).into_iter().rev().filter(|other| state[*other] == 0));
                continue;
            }
            open.pop();
            if state[here] == 1 {
                state[here] = 2;
                order.push(here);
            }
        }
    }
    parents_first(items, index, order)
}

/// A circle of parents and waiting may have put a child before its parent: it goes behind it.
fn parents_first(items: &[Item], index: &HashMap<String, usize>, order: Vec<usize>) -> Vec<usize> {
    let mut waiting: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let (mut placed, mut found) = (HashSet::new(), Vec::with_capacity(order.len()));
    for at in order {
        let parent = items
            .get(at)
            .and_then(|item| index.get(item.parent.as_ref()?))
            .copied();
        if let Some(parent) = parent.filter(|parent| !placed.contains(parent)) {
            waiting.entry(parent).or_default().push(at);
            continue;
        }
        let mut ready = vec![at];
        while let Some(at) = ready.pop() {
            placed.insert(at);
            found.push(at);
            ready.extend(waiting.remove(&at).into_iter().flatten().rev());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &str, parent: Option<&str>, waits: &[&str]) -> Item {
        Item {
            at: key.to_owned(),
            key: key.to_owned(),
            title: key.to_owned(),
            parent: parent.map(str::to_owned),
            waits: waits.iter().map(|key| (*key).to_owned()).collect(),
            ..Item::default()
        }
    }

    fn keys(parts: &[Part]) -> Vec<&str> {
        let items = parts.iter().flat_map(|part| &part.items);
        items.map(|item| item.key.as_str()).collect()
    }

    #[test]
    fn parents_and_those_waited_for_come_first() {
        let mut problems = Problems::default();
        let parts = arrange(
            vec![
                item("c", Some("b"), &[]),
                item("a", None, &["d"]),
                item("b", Some("a"), &[]),
                item("d", None, &[]),
            ],
            &mut problems,
        );
        assert_eq!((keys(&parts), parts.len()), (vec!["d", "a", "b", "c"], 1));
        assert_eq!(problems, Problems::default());
    }

    #[test]
    fn a_parent_that_waits_for_its_child_is_told_so_later() {
        let parts = arrange(
            vec![item("a", None, &["b"]), item("b", Some("a"), &[])],
            &mut Problems::default(),
        );
        assert_eq!(keys(&parts), ["a", "b"]);
        assert_eq!(parts[1].links, [("a".to_owned(), vec!["b".to_owned()])]);
    }

    #[test]
    fn circles_depth_and_doubles_are_cut_and_told_of() {
        let mut problems = Problems::default();
        let chain = |n: usize| {
            item(
                &format!("d{n}"),
                n.checked_sub(1).map(|n| format!("d{n}")).as_deref(),
                &[],
            )
        };
        let mut items = vec![
            item("a", Some("b"), &[]),
            item("b", Some("a"), &[]),
            item("a", None, &[]),
        ];
        items.extend((0..8).map(chain));
        let parts = arrange(items, &mut problems);
        let codes: Vec<&str> = problems
            .items
            .iter()
            .map(|problem| problem.code.as_str())
            .collect();
        assert_eq!(codes, ["duplicate", "cycle", "too_deep", "too_deep"]);
        let deep = parts[0]
            .items
            .iter()
            .find(|item| item.key == "d7")
            .expect("there");
        assert_eq!(deep.parent.as_deref(), Some("d4"));
        assert_eq!(keys(&parts).len(), 10);
    }

    #[test]
    fn a_long_chain_takes_neither_the_stack_nor_long() {
        let chain = |n: usize| item(&format!("k{n}"), None, &[&format!("k{}", n + 1)]);
        let parts = arrange((0..50_000).map(chain).collect(), &mut Problems::default());
        assert_eq!(parts.len(), 250);
        assert_eq!(parts[0].items[0].key, "k49999");
    }
}
