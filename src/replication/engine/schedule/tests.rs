//! Which request comes next, told as a list of words.

use super::*;
use crate::model::Blob;

const MIB: u64 = 1024 * 1024;

fn schedule(sizes: &[(&str, u64)]) -> Schedule {
    schedule_for(64, sizes)
}

fn schedule_for(slots: usize, sizes: &[(&str, u64)]) -> Schedule {
    let mut schedule = Schedule::new(Terms { slots, cap_bytes_per_second: None });
    for (name, mib) in sizes {
        schedule.add(Task { blob: Blob::sample(name, mib * MIB), target: Target::Something });
    }
    schedule
}

/// What the next request is, in a word, after all that is known of the ones before has been told.
fn next(schedule: &mut Schedule) -> String {
    let Some(request) = schedule.next() else { return "nothing".to_owned() };
    let name = request.task().blob.name.clone();
    match request {
        Request::Whole(_) => name,
        Request::Look(task) => {
            schedule.looked(task, &[]);
            format!("look {name}")
        }
        Request::Stage(number, _, block) => {
            schedule.staged(number);
            format!("{name} {}+{}", block.offset / MIB, block.bytes / MIB)
        }
        Request::Commit(_, _, ids) => format!("commit {name} {}", ids.len()),
    }
}

fn all(schedule: &mut Schedule) -> Vec<String> {
    std::iter::from_fn(|| Some(next(schedule)).filter(|next| next != "nothing")).collect()
}

#[test]
fn the_largest_begins_first_and_goes_on_before_other_large_ones() {
    let mut schedule = schedule(&[("middle", 9), ("large", 11)]);
    assert_eq!(schedule.waiting(), 2);
    let large = ["look large", "large 0+4", "large 4+4", "large 8+3", "commit large 3"];
    let middle = ["look middle", "middle 0+4", "middle 4+4", "middle 8+1", "commit middle 3"];
    assert_eq!(all(&mut schedule), [large, middle].concat());
    assert!(schedule.is_idle());
}

#[test]
fn small_ones_go_along_with_blocks() {
    let small = ["b", "a", "c", "d", "e", "f", "g", "h"].map(|name| (name, 1));
    let mut schedule = schedule(&[&small[..], &[("large", 12), ("middle", 9)]].concat());
    let along = ["large 0+4", "b", "a", "c", "d", "e", "f", "large 4+4", "g", "h", "large 8+4", "commit large 3"];
    let others = ["look middle", "middle 0+4", "middle 4+4", "middle 8+1", "commit middle 3"];
    assert_eq!(all(&mut schedule), [&["look large"], &along[..], &others].concat());
}

#[test]
fn a_blob_is_committed_when_its_last_block_has_come_whatever_else_goes_on() {
    let mut schedule = schedule_for(4, &[("large", 16), ("small", 1)]);
    assert_eq!(next(&mut schedule), "look large");
    let first = schedule.next();
    let Some(Request::Stage(number, ..)) = first else { panic!("{first:?}") };
    assert_eq!(next(&mut schedule), "small");
    assert!(matches!(schedule.next(), Some(Request::Stage(..))));
    schedule.staged(number);
    assert!(schedule.is_idle(), "one block is under way, and nothing else could begin");
    schedule.staged(number);
    assert_eq!(next(&mut schedule), "commit large 2");
}

#[test]
fn where_nothing_is_there_nothing_is_looked_at() {
    let mut schedule = schedule(&[("there", 11)]);
    schedule.add(Task { blob: Blob::sample("new", 12 * MIB), target: Target::Nothing });
    let new = ["new 0+4", "new 4+4", "new 8+4", "commit new 3"];
    let there = ["look there", "there 0+4", "there 4+4", "there 8+3", "commit there 3"];
    assert_eq!(all(&mut schedule), [&new[..], &there].concat());
}

#[test]
fn blocks_of_an_earlier_slice_are_not_copied_again() {
    let mut schedule = schedule(&[("large", 20)]);
    let Some(Request::Look(task)) = schedule.next() else { panic!("no look") };
    let plan = BlockPlan::new("\"1\"", 20 * MIB, 8 * MIB);
    let staged = plan.blocks().take(2).map(|block| StagedBlock { id: block.id, bytes: block.bytes });
    assert_eq!(schedule.looked(task, &staged.collect::<Vec<_>>()), 16 * MIB);
    assert_eq!(all(&mut schedule), ["large 16+4", "commit large 3"]);

    let Some(Request::Look(task)) = self::schedule(&[("large", 20)]).next() else { panic!("no look") };
    let all_of_it = plan.blocks().map(|block| StagedBlock { id: block.id, bytes: block.bytes });
    schedule.looked(task, &all_of_it.collect::<Vec<_>>());
    assert_eq!(all(&mut schedule), ["commit large 3"], "only the commit was missing");
}

#[test]
fn what_the_service_does_not_copy_as_a_whole_goes_in_blocks_whatever_its_size() {
    let mut schedule = schedule(&[("small", 1)]);
    let Some(Request::Whole(task)) = schedule.next() else { panic!("not whole") };
    schedule.only_in_blocks(task);
    assert_eq!(all(&mut schedule), ["small 0+1", "commit small 1"]);
}
