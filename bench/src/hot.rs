//! One product that everybody wants, by Reserve alone: what the platform calls so many times a second, against clients that do the
//! same to a row of their own with the plainest statement there is, an UPDATE and a commit for each piece.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use contracts::{
    ids::OrderId,
    inventory::v1::{
        Reserve, ReserveLine, ReserveRequest, ReserveResponse, inventory_service_client::InventoryServiceClient,
        reserve_response::Outcome,
    },
};
use rpc::Lists;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::{
    figure::Figures,
    pg::Ceiling,
    platform::{self, Platform},
    script::Script,
    slice::{Departures, Pace, Tally},
    turns::{Turns, in_turns},
};

/// Clients that update the row.
const UPDATING: u16 = 32;

/// Reservations in flight.
const IN_FLIGHT: u16 = 256;

/// The catalogue `bench` has 10⁹ of it.
const PLENTY: &str = "sku-0000";

/// One that there is little of: what is left of it is set for the last slice.
const SCARCE: &str = "sku-0001";

/// So many pieces.
const SCARCE_PIECES: i64 = 1_000;

/// How long a reservation may take.
const BUDGET: Duration = Duration::from_secs(5);

/// Sets how many pieces of a product are left, and gives the row its sum.
const LEAVE: &str = "UPDATE stock SET available = $2, received = reserved + sold + $2 WHERE sku = $1";

/// How many pieces of a product are left, how many the stock says are reserved, and how many the reservations hold.
const LEFT_AND_HELD: &str = "
    SELECT available, reserved, (
        SELECT coalesce(sum((line->>'quantity')::bigint), 0)::bigint
        FROM reservation, jsonb_array_elements(lines) AS line
        WHERE state = 'HELD' AND line->>'sku' = $1
    ) FROM stock WHERE sku = $1";

/// Reserves and updates in turns.
pub async fn measure(turns: Turns, figures: &mut Figures) -> Result<()> {
    platform::under_load(async |platform| measure_on(platform, turns, figures).await).await
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Update,
    Reserve,
}

async fn measure_on(platform: &Platform, turns: Turns, figures: &mut Figures) -> Result<()> {
    let mut ceiling = Ceiling::prepare(platform).await?;
    let update = Arc::new(Script::parse(include_str!("../sql/hot.sql"))?);
    let reservations = Reservations::of(platform)?;
    let mut stock = PgConnection::connect(&platform.database_url("inventory")).await?;
    platform.analyze().await?;
    reservations.make(PLENTY, turns.length()).await?;
    for cycle in turns.cycles() {
        let (mut updates, mut reserves) = (0.0, 0.0);
        for side in in_turns(cycle, Side::Update, Side::Reserve) {
            ceiling.sweep().await?;
            let (name, rate, (tally, took)) = match side {
                Side::Update => {
                    let clients = ceiling.clients(&update, UPDATING).await?;
                    ("one hot row: UPDATEs", &mut updates, clients.order(Pace::Closed, turns.length()).await?)
                }
                Side::Reserve => {
                    ("one hot product: Reserve", &mut reserves, reservations.make(PLENTY, turns.length()).await?)
                }
            };
            ensure!(tally.others().is_empty(), "{name}: not all were taken: {:?}", tally.others());
            *rate = f64::from(tally.orders()) / took.as_secs_f64();
            eprintln!("{name}: {rate:.0} pieces/s");
            figures.per_second(format!("{name}, pieces"), tally.orders(), took);
        }
        figures.times("one hot product: Reserve against UPDATEs", reserves / updates);
    }
    let (_, reserved, held) = left_and_held(&mut stock, PLENTY).await?;
    ensure!(reserved == held, "VOID: {PLENTY}: {reserved} pieces are reserved and {held} are held");
    sell_out(&reservations, &mut stock, turns.length()).await
}

/// More want the scarce product than there is. Fails if one piece was sold twice, or one was left.
async fn sell_out(reservations: &Reservations, stock: &mut PgConnection, length: Duration) -> Result<()> {
    sqlx::query(LEAVE).bind(SCARCE).bind(SCARCE_PIECES).execute(&mut *stock).await?;
    let (tally, _) = reservations.make(SCARCE, length).await?;
    let (left, reserved, held) = left_and_held(stock, SCARCE).await?;
    let told = i64::from(tally.orders());
    eprintln!("{SCARCE}: {told} of {SCARCE_PIECES} pieces were promised, {held} are held, {left} are left");
    let is_right = (told, reserved, held, left) == (SCARCE_PIECES, SCARCE_PIECES, SCARCE_PIECES, 0);
    ensure!(
        is_right,
        "VOID: {SCARCE}: of {SCARCE_PIECES} pieces {told} were promised, {held} are held, {left} are left"
    );
    Ok(())
}

async fn left_and_held(stock: &mut PgConnection, sku: &str) -> Result<(i64, i64, i64)> {
    Ok(sqlx::query_as(LEFT_AND_HELD).bind(sku).fetch_one(stock).await?)
}

/// Reserve, asked for as order does: in lists.
#[derive(Debug)]
struct Reservations(Lists<Reserve, ReserveResponse>);

impl Reservations {
    fn of(platform: &Platform) -> Result<Self> {
        let channel = rpc::channel(platform.url("inventory")?).context("inventory has no address")?;
        let inventory = InventoryServiceClient::new(channel);
        let lists = Lists::start(
            "Reserve",
            |outcome: &ReserveResponse| &outcome.order_id,
            move |request| {
                let mut inventory = inventory.clone();
                async move { inventory.reserve(request.map(|items| ReserveRequest { items })).await }
            },
        );
        Ok(Self(lists))
    }

    /// Reserves one piece after another for so long. A refusal is counted as 409. Gives how long it was until the last answer.
    async fn make(&self, sku: &'static str, length: Duration) -> Result<(Tally, Duration)> {
        let departures = Arc::new(Departures::begin(Pace::Closed, length));
        let mut clients = JoinSet::new();
        for _ in 0..IN_FLIGHT {
            clients.spawn(reserve(self.0.clone(), sku, departures.clone()));
        }
        let mut tally = Tally::default();
        while let Some(client) = clients.join_next().await {
            tally.add(client??);
        }
        Ok((tally, departures.elapsed()))
    }
}

async fn reserve(
    lists: Lists<Reserve, ReserveResponse>,
    sku: &'static str,
    departures: Arc<Departures>,
) -> Result<Tally> {
    let mut tally = Tally::default();
    while let Some(departure) = departures.next().await {
        let order_id = OrderId::new().to_string();
        let answer = lists.ask(BUDGET, &order_id, |traceparent| Reserve {
            order_id: order_id.clone(),
            lines: vec![ReserveLine { sku: sku.to_owned(), quantity: 1 }],
            traceparent,
        });
        match answer.await?.outcome {
            Some(Outcome::Reserved(_)) => tally.taken(departure.due),
            Some(Outcome::OutOfStock(_)) => tally.not_taken(409),
            other => anyhow::bail!("inventory did not decide: {other:?}"),
        }
    }
    Ok(tally)
}
