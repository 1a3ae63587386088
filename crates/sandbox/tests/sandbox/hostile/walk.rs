//! Every number of a call, asked of the filter that the kernel runs: the list and what is in force agree.
//!
//! Nothing that is allowed is carried out. A thread puts a second filter over itself that hands whatever the first one lets through
//! to another thread, which answers with an error that no call has. (A refusal of the first goes before a question of the second.)

use crate::world::{Case, World};
use sandbox::system_calls::{self, JUDGED, Test, Verdict};
use std::collections::BTreeSet;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};

pub const CASES: &[Case] =
    &[("c_140_the_filter_in_force_says_of_every_call_what_the_list_says", every_call_is_as_listed)];

/// What the second filter's owner answers.
const LET_THROUGH: i32 = 4000;
/// The last call of the walk, by its arguments.
const OVER: u64 = 0x000d_0e0f;
/// Beyond every number that a kernel knows.
const NUMBERS: u32 = 1024;
/// Newer kernels ask no filter about these, and end with SIGILL whoever calls them from anywhere but their own trampolines.
#[cfg(target_arch = "x86_64")]
const TRAMPOLINES: [u32; 2] = [335, 336];
#[cfg(not(target_arch = "x86_64"))]
const TRAMPOLINES: [u32; 0] = [];
/// Numbers of the table of x32 programs have this bit.
const X32: u32 = 0x4000_0000;

fn every_call_is_as_listed(world: &World) {
    let lines = world.run_line("/.dozen/dozen inside walk").lines.stdout();
    println!("{}", lines.join("\n"));
    let (last, wrong) = lines.split_last().unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    let count: usize = last.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(count > 10_000, "{last}");
}

/// The inside's part: prints what differs, and how many calls were made.
pub fn walk() {
    static LISTENER: AtomicI32 = AtomicI32::new(-1);
    let asked = questions();
    let mut answers = vec![0; asked.len()];
    let place = (answers.as_mut_ptr() as usize, asked.clone());
    // Not joined: from the second filter on, the thread's own end is one of the calls that are not carried out.
    std::thread::spawn(move || {
        LISTENER.store(put_a_filter_over_this_thread(), Ordering::SeqCst);
        let (answers, asked) = place;
        for (index, (number, arguments)) in asked.iter().enumerate() {
            let [a, b, c, d, e, f] = *arguments;
            // SAFETY: no call of this thread is carried out any more; the vector outlives the walk and nobody else writes to it.
            unsafe {
                let result = libc::syscall(i64::from(*number), a, b, c, d, e, f);
                let error = if result == -1 { *libc::__errno_location() } else { 0 };
                (answers as *mut i32).add(index).write(error);
            }
        }
        // SAFETY: as above; the other thread does not answer this one.
        unsafe { libc::syscall(libc::SYS_getpid, OVER) };
    });
    let listener = loop {
        match LISTENER.load(Ordering::SeqCst) {
            -1 => std::thread::yield_now(),
            descriptor => break descriptor,
        }
    };
    answer_until_it_is_over(listener);
    report(&asked, &answers);
}

fn report(asked: &[(u32, [u64; 6])], answers: &[i32]) {
    let table = system_calls::table();
    for ((number, arguments), answer) in asked.iter().zip(answers) {
        let expected = match system_calls::verdict(&table, *number).with(*arguments) {
            Verdict::Allow => LET_THROUGH,
            Verdict::Refuse => libc::EPERM,
            Verdict::Absent => libc::ENOSYS,
            Verdict::Judge(_) => unreachable!("a verdict with arguments"),
        };
        if *answer != expected {
            println!("call {number:#x} with {arguments:x?}: {answer} instead of {expected}");
        }
    }
    println!("made {} calls", asked.len());
}

/// Every number once, those of the x32 table, and each judged call with every argument that matters to it and some that do not.
fn questions() -> Vec<(u32, [u64; 6])> {
    let numbers = (0..NUMBERS).filter(|number| !TRAMPOLINES.contains(number));
    let plain = numbers.clone().chain(numbers.map(|number| number | X32)).chain([u32::MAX]);
    let mut all: Vec<(u32, [u64; 6])> = plain.map(|number| (number, [0; 6])).collect();
    for judged in JUDGED {
        let conditions = judged.rules.iter().copied().flatten();
        let known = conditions.flat_map(|condition| match condition.test {
            Test::OneOf(values) | Test::NoneOf(values) | Test::HasNoBit(values) => values,
            Test::MaskedOneOf(_, values) => values,
        });
        let mut values: BTreeSet<u64> = known.map(|(_, value)| u64::from(*value)).collect();
        values.extend([0, 1, 3, 5, 12, 17, 40, 132, 0x8_0002, 0xdead_beef_0000_0002]);
        for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (*a, *b))) {
            let number = judged.call.1 as u32;
            all.extend(values.iter().map(|c| (number, [a, b, *c, 0, 0, 0])));
        }
    }
    all
}

/// Returns the descriptor by which its calls are answered.
fn put_a_filter_over_this_thread() -> RawFd {
    // Hands everything over.
    let mut program = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_USER_NOTIF }];
    let filter = libc::sock_fprog { len: 1, filter: program.as_mut_ptr() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: the program lives across the call, which copies it.
    let descriptor =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter) };
    // An error becomes a descriptor that is none, at which the other thread fails.
    if descriptor < 0 { i32::MAX } else { descriptor as RawFd }
}

fn answer_until_it_is_over(listener: RawFd) {
    loop {
        // SAFETY: plain numbers, for which zero is a value, and which the kernel wants to be zero.
        let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        control(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, (&raw mut asked).cast());
        let is_last = i64::from(asked.data.nr) == libc::SYS_getpid && asked.data.args[0] == OVER;
        if is_last {
            return;
        }
        let mut answer = libc::seccomp_notif_resp { id: asked.id, val: 0, error: -LET_THROUGH, flags: 0 };
        control(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, (&raw mut answer).cast());
    }
}

/// `SECCOMP_IOCTL_NOTIF_RECV` and `SECCOMP_IOCTL_NOTIF_SEND`.
fn control(listener: RawFd, number: libc::Ioctl, structure: *mut libc::c_void) {
    // SAFETY: the structure is as large as the number says and lives across the call.
    let result = unsafe { libc::ioctl(listener, number, structure) };
    assert!(result == 0, "{}", std::io::Error::last_os_error());
}
