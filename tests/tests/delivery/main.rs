//! `docs/tour/delivery.md` is true: each row of its tables is played with real brokers and real processes, killed at the bad
//! moment, and counted.

mod answer_cut;
mod cluster;
mod consumers;
mod count;
mod leader_killed;
mod member;
mod page;
mod proxy;
mod transactions;

use journeys::repository::{root, text};

use crate::{cluster::Cluster, count::Row};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_states_what_happens_when_each_way_of_sending_and_reading_is_killed_at_its_bad_moment() {
    let page = text(&root().join("docs/tour/delivery.md"));
    let mut cluster = Cluster::start().await;

    // side by side: they mostly wait
    let (cut, transactional, consumers) =
        tokio::join!(answer_cut::play(&cluster), transactions::play(&cluster), consumers::play(&cluster));
    // last: afterwards a broker is missing
    let killed = leader_killed::play(&mut cluster).await;

    let producers: Vec<Row> = killed.into_iter().chain(cut).chain(transactional).collect();
    page::assert_states(&page, "producer", &producers);
    page::assert_states(&page, "consumer", &consumers);
}
