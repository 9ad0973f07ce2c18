//! Watching sales: the recent windows, then each that changes, from any position on. It is 12:00:30.

use std::{collections::BTreeMap, time::Duration};

use analytics::{
    Position,
    watch::{self, WATCHES_MAX},
};
use contracts::{
    analytics::v1::{Sales, SalesPosition, WatchSalesResponse, Window},
    ids::OrderId,
    order::v1::PaymentStatus,
    problem::ProblemCode,
    timestamp_from_proto,
};
use jiff::Timestamp;
use testkit::{SOON, eventually_some};
use tokio::time::timeout;
use tonic::Streaming;

use crate::{
    desk::Desk,
    letters::{cancelled, completed, time},
    post::Post,
    replay::{ended_with, replay},
    stories::{self, FROM, TO},
};

/// Before all changes of any table.
const BEGINNING: Option<SalesPosition> = Some(SalesPosition { generation: 0, change: 0 });

/// Long enough for thousands of letters, on a machine with other work.
const COUNTED: Duration = Duration::from_mins(1);

/// A window: its start, its currency, orders, revenue, cancelled orders, refunded.
type Told = (Timestamp, String, [i64; 4]);

fn told(sales: Sales) -> Told {
    let (revenue, refunded) = (sales.revenue.unwrap(), sales.refunded.unwrap());
    assert_eq!(revenue.currency, refunded.currency);
    let from = timestamp_from_proto(&sales.from.unwrap()).unwrap();
    assert_eq!(timestamp_from_proto(&sales.to.unwrap()), Some(from + Duration::from_mins(1)));
    let numbers = [sales.orders, revenue.amount_minor, sales.cancelled_orders, refunded.amount_minor];
    (from, revenue.currency, numbers)
}

fn window(start: &str, currency: &str, numbers: [i64; 4]) -> Told {
    (time(start), currency.to_owned(), numbers)
}

/// What is told next; no window: that the recent ones were told.
async fn next(changes: &mut Streaming<WatchSalesResponse>) -> (Option<Told>, SalesPosition) {
    let next = timeout(SOON, changes.message()).await.expect("the next change comes soon").unwrap();
    let WatchSalesResponse { sales, position } = next.expect("a watch ends only with the process");
    (sales.map(told), position.expect("each says where it stands"))
}

/// Whatever is told before it is told that the recent windows were, and the position there.
async fn recent(changes: &mut Streaming<WatchSalesResponse>) -> (Vec<Told>, SalesPosition) {
    let mut windows = Vec::new();
    loop {
        match next(changes).await {
            (Some(window), _) => windows.push(window),
            (None, position) => break (windows, position),
        }
    }
}

/// The windows that are told next.
async fn take(changes: &mut Streaming<WatchSalesResponse>, count: usize) -> Vec<Told> {
    let mut windows = Vec::new();
    for _ in 0..count {
        windows.push(next(changes).await.0.expect("a window"));
    }
    windows
}

/// Makes windows with one order each, in euros, of so many minutes before 12:00.
async fn sell_in_each_of(desk: &Desk, minutes: i32) {
    sqlx::query(
        "INSERT INTO sales_minute (minute, currency, orders, revenue_minor)
         SELECT TIMESTAMPTZ '2026-11-21T12:00:00Z' - make_interval(mins => ago), 'EUR', 1, 10
         FROM generate_series(1, $1) AS ago",
    )
    .bind(minutes)
    .execute(&desk.database.owner)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_watch_tells_the_last_five_minutes_and_then_each_window_that_changes_however_old() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let given_back = OrderId::new();
    post.send(&[
        completed(OrderId::new(), "2026-11-21T11:54:59Z", 1, "EUR"),
        completed(OrderId::new(), "2026-11-21T11:55:00Z", 20, "EUR"),
        completed(OrderId::new(), "2026-11-21T12:00:10Z", 300, "EUR"),
        completed(OrderId::new(), "2026-11-21T12:00:10Z", 4_000, "JPY"),
        completed(given_back, "2026-11-21T12:00:20Z", 50_000, "EUR"),
    ])
    .await;
    desk.has_read(&post).await;
    let mut changes = desk.watch(None).await.unwrap();
    let (mut windows, _) = recent(&mut changes).await;
    windows.sort();
    assert_eq!(
        windows,
        [
            window("2026-11-21T11:55:00Z", "EUR", [1, 20, 0, 0]),
            window("2026-11-21T12:00:00Z", "EUR", [2, 50_300, 0, 0]),
            window("2026-11-21T12:00:00Z", "JPY", [1, 4_000, 0, 0]),
        ]
    );
    post.send(&[cancelled(given_back, "2026-11-21T12:01:05Z", 50_000, "EUR", PaymentStatus::Refunded)]).await;
    assert_eq!(take(&mut changes, 1).await, [window("2026-11-21T12:01:00Z", "EUR", [0, 0, 1, 50_000])]);
    post.send(&[completed(OrderId::new(), "2026-11-21T11:54:10Z", 2, "EUR")]).await;
    assert_eq!(take(&mut changes, 1).await, [window("2026-11-21T11:54:00Z", "EUR", [2, 3, 0, 0])]);
}

#[tokio::test]
async fn each_position_is_one_to_go_on_from_without_a_gap_and_without_a_window_twice() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let mut changes = desk.watch(None).await.unwrap();
    let (windows, nothing_yet) = recent(&mut changes).await;
    assert_eq!(windows, []);
    // each letter is told before the next is sent, so each is a change of its own
    let mut story: Vec<(Told, SalesPosition)> = Vec::new();
    let letters = [
        ("2026-11-21T11:59:00Z", "EUR"),
        ("2026-11-21T12:00:00Z", "EUR"),
        ("2026-11-21T11:59:59Z", "EUR"),
        ("2026-11-21T12:00:00Z", "JPY"),
        ("2026-11-21T09:00:00Z", "EUR"),
        ("2026-11-21T12:00:00Z", "EUR"),
        ("2026-11-21T11:59:00Z", "EUR"),
    ];
    for (at, currency) in letters {
        post.send(&[completed(OrderId::new(), at, 10, currency)]).await;
        let (window, position) = next(&mut changes).await;
        story.push((window.expect("a window"), position));
    }
    let positions: Vec<_> = [nothing_yet].into_iter().chain(story.iter().map(|(_, position)| *position)).collect();
    for (seen, position) in positions.into_iter().enumerate() {
        // of each window that changed since its last state, in the order of these
        let missed: Vec<Told> = story[seen..].iter().map(|(window, _)| window.clone()).collect();
        let is_last = |(index, window): &(usize, &Told)| {
            missed[index + 1..].iter().all(|later| (later.0, &later.1) != (window.0, &window.1))
        };
        let expected: Vec<Told> = missed.iter().enumerate().filter(is_last).map(|(_, window)| window.clone()).collect();
        let mut resumed = desk.watch(Some(position)).await.unwrap();
        assert_eq!(take(&mut resumed, expected.len()).await, expected, "after {seen}");
        // and nothing else: a letter that comes now is what is told next
        post.send(&[completed(OrderId::new(), "2026-11-21T11:58:00Z", 10, "EUR")]).await;
        let sent = i64::try_from(seen).unwrap() + 1;
        let new = window("2026-11-21T11:58:00Z", "EUR", [sent, 10 * sent, 0, 0]);
        assert_eq!(take(&mut resumed, 1).await.first(), Some(&new), "after {seen}");
        let (window, position) = next(&mut changes).await;
        assert_eq!(window, Some(new.clone()));
        story.push((new, position));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_watch_has_told_last_of_each_window_is_what_the_sales_say_while_two_replicas_count() {
    let (post, stories) = (Post::open().await, stories::generate(400));
    let counting = Desk::open(&post).await;
    let replica = Desk::open_on(counting.database.clone(), &post);
    let watching = tokio::spawn({
        let expected: BTreeMap<_, _> = stories.sales(60).into_iter().map(told).map(by_window).collect();
        let mut changes = replica.watch(BEGINNING).await.unwrap();
        async move {
            let mut windows = BTreeMap::new();
            let mut positions = Vec::new();
            while windows != expected {
                let (window, position) = next(&mut changes).await;
                let (window, numbers) = by_window(window.expect("a window"));
                windows.insert(window, numbers);
                positions.push(position);
            }
            (windows, positions)
        }
    });
    post.send(&stories.three_times_and_mixed()).await;
    let (windows, positions) = timeout(COUNTED, watching).await.expect("every window is told").unwrap();
    let said = counting.sales(Window::Minute, FROM, TO).await.unwrap();
    assert_eq!(said.into_iter().map(told).map(by_window).collect::<BTreeMap<_, _>>(), windows);
    // whoever was cut off in the middle ends with the same, also at the other replica
    let middle = positions[positions.len() / 2];
    let mut resumed = counting.watch(Some(middle)).await.unwrap();
    loop {
        let (window, position) = next(&mut resumed).await;
        let (window, numbers) = by_window(window.expect("a window"));
        assert_eq!(windows[&window], numbers);
        if Some(&position) == positions.last() {
            break;
        }
    }
    counting.has_read(&post).await;
}

fn by_window((start, currency, numbers): Told) -> ((Timestamp, String), [i64; 4]) {
    ((start, currency), numbers)
}

#[tokio::test]
async fn a_slow_reader_loses_nothing_and_holds_up_nobody() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    sell_in_each_of(&desk, 100).await;
    let (watches, new) = watch::watches();
    desk.deps.shutdown.spawn_part("watches", watch::run(desk.deps.clone(), new));
    let beginning = Position::try_from(BEGINNING.unwrap()).unwrap();
    let mut slow = watch::watch(&desk.deps, &watches, Some(beginning)).await.unwrap();
    let mut quick = watch::watch(&desk.deps, &watches, Some(beginning)).await.unwrap();
    let next = async |reader: &mut watch::Changes| {
        let next = timeout(SOON, reader.recv()).await.expect("the next change comes soon").unwrap().unwrap();
        told(next.sales.expect("a window"))
    };
    let mut windows = Vec::new();
    for _ in 0..100 {
        windows.push(next(&mut quick).await);
    }
    assert!(slow.len() < 100);
    // what has changed meanwhile is told as it is now, once
    sqlx::query("UPDATE sales_minute SET orders = 7, change = nextval('sales_change') WHERE change = 100")
        .execute(&desk.database.owner)
        .await
        .unwrap();
    let changed = next(&mut quick).await;
    assert_eq!(changed.2, [7, 10, 0, 0]);
    for window in &windows[..99] {
        assert_eq!(next(&mut slow).await, *window);
    }
    assert_eq!(next(&mut slow).await, changed);
}

#[tokio::test]
async fn windows_older_than_a_day_are_not_told() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let [too_old, oldest] = ["2026-11-20T11:59:59Z", "2026-11-20T12:00:00Z"];
    post.send(&[too_old, oldest].map(|at| completed(OrderId::new(), at, 10, "EUR"))).await;
    desk.has_read(&post).await;
    let mut changes = desk.watch(BEGINNING).await.unwrap();
    assert_eq!(take(&mut changes, 1).await, [window(oldest, "EUR", [1, 10, 0, 0])]);
    post.send(&[completed(OrderId::new(), too_old, 10, "EUR")]).await;
    desk.has_read(&post).await;
    post.send(&[completed(OrderId::new(), oldest, 10, "EUR")]).await;
    assert_eq!(take(&mut changes, 1).await, [window(oldest, "EUR", [2, 20, 0, 0])]);
}

#[tokio::test]
async fn a_position_that_this_database_never_told_is_before_everything_of_the_last_day() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    sell_in_each_of(&desk, 30).await;
    let mut changes = desk.watch(BEGINNING).await.unwrap();
    let all = take(&mut changes, 30).await;
    let (_, here) = recent(&mut desk.watch(None).await.unwrap()).await;
    for unknown in [
        // of another table; of a database that was put back to an older state
        SalesPosition { generation: here.generation + 1, change: 7 },
        SalesPosition { generation: here.generation, change: here.change + 1 },
        SalesPosition { generation: i64::MAX, change: i64::MAX },
    ] {
        let mut changes = desk.watch(Some(unknown)).await.unwrap();
        assert_eq!(take(&mut changes, 30).await, all, "{unknown:?}");
    }
    for wrong in [SalesPosition { change: -1, ..here }, SalesPosition { generation: -1, ..here }] {
        let refused = desk.watch(Some(wrong)).await.unwrap_err();
        assert_eq!(rpc::problem_of(&refused), ProblemCode::Invalid, "{wrong:?}");
        assert!(refused.message().starts_with("after: "), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_replay_every_window_of_the_last_day_is_told_again() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let times = ["2026-11-21T09:00:00Z", "2026-11-21T11:59:00Z", "2026-11-21T12:00:00Z"];
    post.send(&times.map(|at| completed(OrderId::new(), at, 10, "EUR"))).await;
    desk.has_read(&post).await;
    let mut changes = desk.watch(None).await.unwrap();
    let (windows, before) = recent(&mut changes).await;
    assert_eq!(windows.len(), 2);
    sqlx::query("UPDATE sales_minute SET orders = 999").execute(&desk.database.owner).await.unwrap();
    let arguments = ["analytics.count", "--from", "beginning"];
    ended_with(&replay(&desk, &post.kafka, &arguments).output().await.unwrap(), 0, "done: ");
    let truth = times.map(|at| window(at, "EUR", [1, 10, 0, 0]));
    for changes in [&mut changes, &mut desk.watch(Some(before)).await.unwrap()] {
        let mut windows = take(changes, 3).await;
        windows.sort();
        assert_eq!(windows, truth);
    }
    // and then goes on
    post.send(&[completed(OrderId::new(), times[0], 10, "EUR")]).await;
    assert_eq!(take(&mut changes, 1).await, [window(times[0], "EUR", [2, 20, 0, 0])]);
}

#[tokio::test]
async fn a_process_serves_so_many_watches_and_no_more_and_all_end_with_it() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let mut first = desk.watch(None).await.unwrap();
    recent(&mut first).await;
    let (places, new) = watch::watches();
    desk.deps.shutdown.spawn_part("watches", watch::run(desk.deps.clone(), new));
    let mut readers = Vec::new();
    for _ in 0..WATCHES_MAX {
        readers.push(watch::watch(&desk.deps, &places, None).await.expect("there is room"));
    }
    let refused = watch::watch(&desk.deps, &places, None).await.unwrap_err();
    assert_eq!(refused.code(), ProblemCode::Unavailable);
    assert!(refused.detail().contains("watch sales"), "{}", refused.detail());
    for reader in &mut readers {
        timeout(SOON, reader.recv()).await.expect("each is told where it stands").unwrap().unwrap();
    }
    readers.pop();
    let again = async || watch::watch(&desk.deps, &places, None).await.ok();
    eventually_some(SOON, "who leaves makes room", again).await;

    desk.deps.shutdown.request();
    assert!(timeout(SOON, first.message()).await.expect("the end comes soon").unwrap().is_none());
}
