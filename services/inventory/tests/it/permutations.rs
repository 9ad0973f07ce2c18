//! Reserve, release, settle, take back and their repetitions in whatever sequence, against a model in memory.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
};

use contracts::ids::OrderId;
use futures::future::join_all;
use inventory::{Answer, Applied, InventoryError, Line, Refusal, Reservations, Reserve};
use proptest::{collection::vec, prelude::*, sample::subsequence, test_runner::TestRunner};
use service_runtime::config::BatchConfig;
use sqlx::PgPool;

/// Products and orders of one case.
const PRODUCTS: usize = 3;
const ORDERS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Reserve(usize),
    Release(usize),
    Settle(usize),
    TakeBack(usize),
}

/// One sequence of steps, with what is in stock and what each order wants.
#[derive(Debug, Clone)]
struct Case {
    pieces: Vec<i64>,
    /// For each order: product and pieces.
    wants: Vec<Vec<(usize, u32)>>,
    steps: Vec<Step>,
}

fn cases() -> impl Strategy<Value = Case> {
    let products = subsequence((0..PRODUCTS).collect::<Vec<_>>(), 1..=PRODUCTS).prop_shuffle();
    let wants = products.prop_flat_map(|products| {
        let count = products.len();
        vec(1..5_u32, count).prop_map(move |pieces| products.iter().copied().zip(pieces).collect())
    });
    let step = (0..ORDERS, 0..4).prop_map(|(order, step)| match step {
        0 => Step::Reserve(order),
        1 => Step::Release(order),
        2 => Step::Settle(order),
        _ => Step::TakeBack(order),
    });
    (vec(0..8_i64, PRODUCTS), vec(wants, ORDERS), vec(step, 1..24)).prop_map(|(pieces, wants, steps)| Case {
        pieces,
        wants,
        steps,
    })
}

/// The answer that a step gets, in a word that tells no more than the model knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Held,
    OutOfStock,
    Released,
    /// The pieces moved.
    Moved,
    /// Nothing was left to do.
    Nothing,
    /// It cannot be, and nothing moved.
    Contradiction,
}

/// Where an order's pieces are. An order that the model does not know never asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    Refused,
    Released,
    Settled,
    Returned,
}

/// What inventory promises, in two dozen lines.
struct Model {
    available: Vec<i64>,
    orders: HashMap<usize, State>,
}

impl Model {
    fn step(&mut self, case: &Case, step: Step) -> Word {
        match step {
            Step::Reserve(order) => match self.orders.get(&order) {
                None => self.reserve(case, order),
                Some(State::Held | State::Settled) => Word::Held,
                Some(State::Refused) => Word::OutOfStock,
                Some(State::Released | State::Returned) => Word::Released,
            },
            Step::Release(order) => match self.orders.get(&order) {
                None => {
                    self.orders.insert(order, State::Released);
                    Word::Released
                }
                Some(State::Held) => {
                    self.give_back(case, order, State::Released);
                    Word::Released
                }
                Some(State::Refused | State::Released | State::Returned) => Word::Released,
                Some(State::Settled) => Word::Contradiction,
            },
            Step::Settle(order) => match self.orders.get(&order) {
                Some(State::Held) => {
                    self.orders.insert(order, State::Settled);
                    Word::Moved
                }
                Some(State::Settled | State::Returned) => Word::Nothing,
                None | Some(State::Refused | State::Released) => Word::Contradiction,
            },
            Step::TakeBack(order) => match self.orders.get(&order) {
                Some(State::Settled) => {
                    self.give_back(case, order, State::Returned);
                    Word::Moved
                }
                None | Some(State::Refused | State::Released | State::Returned) => Word::Nothing,
                Some(State::Held) => Word::Contradiction,
            },
        }
    }

    fn reserve(&mut self, case: &Case, order: usize) -> Word {
        let wants = &case.wants[order];
        if wants.iter().any(|&(product, pieces)| self.available[product] < i64::from(pieces)) {
            self.orders.insert(order, State::Refused);
            return Word::OutOfStock;
        }
        for &(product, pieces) in wants {
            self.available[product] -= i64::from(pieces);
        }
        self.orders.insert(order, State::Held);
        Word::Held
    }

    fn give_back(&mut self, case: &Case, order: usize, end: State) {
        self.orders.insert(order, end);
        for &(product, pieces) in &case.wants[order] {
            self.available[product] += i64::from(pieces);
        }
    }

    fn state(&self, order: usize) -> Option<State> {
        self.orders.get(&order).copied()
    }
}

/// A case played in the database, with products and orders of its own.
struct Play<'a> {
    pool: &'a PgPool,
    reservations: Reservations,
    case: &'a Case,
    skus: Vec<String>,
    orders: Vec<OrderId>,
}

impl<'a> Play<'a> {
    async fn prepare(pool: &'a PgPool, case: &'a Case) -> Self {
        static CASES: AtomicU32 = AtomicU32::new(0);
        let number = CASES.fetch_add(1, Ordering::Relaxed);
        let skus: Vec<String> = (0..PRODUCTS).map(|product| format!("case-{number}-{product}")).collect();
        for (sku, pieces) in skus.iter().zip(&case.pieces) {
            sqlx::query("INSERT INTO product (sku, name, price_minor, currency) VALUES ($1, 'it', 100, 'EUR')")
                .bind(sku)
                .execute(pool)
                .await
                .unwrap();
            sqlx::query("INSERT INTO stock (sku, available, received) VALUES ($1, $2, $2)")
                .bind(sku)
                .bind(pieces)
                .execute(pool)
                .await
                .unwrap();
        }
        Self {
            pool,
            reservations: Reservations::start(pool.clone(), BatchConfig::default()),
            case,
            skus,
            orders: (0..ORDERS).map(|_| OrderId::new()).collect(),
        }
    }

    async fn step(&self, step: Step) -> Result<Word, InventoryError> {
        match step {
            Step::Reserve(order) => {
                let line = |&(product, pieces): &(usize, u32)| Line {
                    sku: self.skus[product].parse().unwrap(),
                    quantity: pieces.try_into().unwrap(),
                };
                let wish = Reserve::new(self.orders[order], self.case.wants[order].iter().map(line).collect())?;
                Ok(match self.reservations.reserve(wish).await? {
                    Answer::Held(_) => Word::Held,
                    Answer::Refused(Refusal::OutOfStock(_)) => Word::OutOfStock,
                    Answer::Refused(other) => panic!("{other:?}"),
                    Answer::Released => Word::Released,
                })
            }
            Step::Release(order) => match inventory::release(self.pool, self.orders[order]).await {
                Ok(()) => Ok(Word::Released),
                Err(error) => contradiction(error),
            },
            Step::Settle(order) => {
                let mut tx = self.pool.begin().await?;
                let settled = inventory::settle_in_tx(&mut tx, self.orders[order]).await;
                tx.commit().await?;
                applied(settled)
            }
            Step::TakeBack(order) => {
                let mut tx = self.pool.begin().await?;
                let taken_back = inventory::take_back_in_tx(&mut tx, self.orders[order]).await;
                tx.commit().await?;
                applied(taken_back)
            }
        }
    }

    /// How each order ended.
    async fn states(&self) -> [Option<State>; ORDERS] {
        let mut states = [None; ORDERS];
        for (state, order) in states.iter_mut().zip(&self.orders) {
            let word: Option<String> = sqlx::query_scalar("SELECT state FROM reservation WHERE order_id = $1")
                .bind(order.as_uuid())
                .fetch_optional(self.pool)
                .await
                .unwrap();
            *state = word.map(|word| match word.as_str() {
                "HELD" => State::Held,
                "REFUSED" => State::Refused,
                "RELEASED" => State::Released,
                "SETTLED" => State::Settled,
                "RETURNED" => State::Returned,
                other => panic!("{other}"),
            });
        }
        states
    }

    /// Available, reserved and sold of each product.
    async fn stock(&self) -> Vec<[i64; 3]> {
        let rows =
            sqlx::query_scalar("SELECT ARRAY[available, reserved, sold] FROM stock WHERE sku = ANY($1) ORDER BY sku");
        rows.bind(&self.skus).fetch_all(self.pool).await.unwrap()
    }

    /// What there was, and of it what orders in these states hold and have bought.
    fn stock_if(&self, states: [Option<State>; ORDERS]) -> Vec<[i64; 3]> {
        let mut stock: Vec<[i64; 3]> = self.case.pieces.iter().map(|&pieces| [pieces, 0, 0]).collect();
        for (wants, state) in self.case.wants.iter().zip(states) {
            let count = match state {
                Some(State::Held) => 1,
                Some(State::Settled) => 2,
                None | Some(State::Refused | State::Released | State::Returned) => continue,
            };
            for &(product, pieces) in wants {
                stock[product][0] -= i64::from(pieces);
                stock[product][count] += i64::from(pieces);
            }
        }
        stock
    }
}

fn applied(applied: Result<Applied, InventoryError>) -> Result<Word, InventoryError> {
    match applied {
        Ok(Applied::Now) => Ok(Word::Moved),
        Ok(Applied::Before) => Ok(Word::Nothing),
        Err(error) => contradiction(error),
    }
}

fn contradiction(error: InventoryError) -> Result<Word, InventoryError> {
    if matches!(error, InventoryError::Contradiction { .. }) { Ok(Word::Contradiction) } else { Err(error) }
}

/// Runs `play` for many cases, on one database. Cases are drawn at random and shrink when one fails.
fn for_all_cases(count: u32, play: &impl AsyncFn(&PgPool, &Case)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let database = runtime.block_on(testkit::database("inventory", &[&inventory::MIGRATOR]));
    let config = ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() };
    let tried = TestRunner::new(config).run(&cases(), |case| {
        runtime.block_on(play(&database.app, &case));
        Ok(())
    });
    tried.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn any_sequence_of_steps_is_answered_as_the_model_answers() {
    for_all_cases(96, &async |pool, case| {
        let play = Play::prepare(pool, case).await;
        let mut model = Model { available: case.pieces.clone(), orders: HashMap::new() };
        for &step in &case.steps {
            assert_eq!(play.step(step).await.unwrap(), model.step(case, step), "{step:?}");
        }
        let states = play.states().await;
        assert_eq!(states, std::array::from_fn(|order| model.state(order)));
        assert_eq!(play.stock().await, play.stock_if(states));
        let available: Vec<i64> = play.stock().await.into_iter().map(|[available, ..]| available).collect();
        assert_eq!(available, model.available);
    });
}

#[test]
fn any_steps_at_once_leave_the_stock_that_the_answers_tell() {
    for_all_cases(96, &async |pool, case| {
        let play = Play::prepare(pool, case).await;
        let words = join_all(case.steps.iter().map(|&step| play.step(step))).await;
        let words: Vec<Word> = words.into_iter().map(Result::unwrap).collect();
        let ends = play.states().await;
        assert_eq!(play.stock().await, play.stock_if(ends));
        for (order, end) in ends.into_iter().enumerate() {
            let told = |wanted: Step| {
                let answers = case.steps.iter().zip(&words).filter(move |(step, _)| **step == wanted);
                answers.map(|(_, word)| *word).collect::<Vec<_>>()
            };
            // a refusal never changes, and nothing turns into a hold
            for word in told(Step::Reserve(order)) {
                let possible = match end {
                    Some(State::Held | State::Settled) => word == Word::Held,
                    Some(State::Refused) => word == Word::OutOfStock,
                    Some(State::Released | State::Returned) => matches!(word, Word::Held | Word::Released),
                    None => false,
                };
                assert!(possible, "order {order} was told {word:?} and is {end:?}");
            }
            // pieces move once, and only where they went
            let moved = |words: Vec<Word>| words.into_iter().filter(|word| *word == Word::Moved).count();
            let settled = usize::from(matches!(end, Some(State::Settled | State::Returned)));
            assert_eq!(moved(told(Step::Settle(order))), settled, "order {order} is {end:?}");
            let returned = usize::from(end == Some(State::Returned));
            assert_eq!(moved(told(Step::TakeBack(order))), returned, "order {order} is {end:?}");
            // whoever is told that it is released finds it so
            if told(Step::Release(order)).contains(&Word::Released) {
                assert!(
                    matches!(end, Some(State::Refused | State::Released | State::Returned)),
                    "order {order}: {end:?}"
                );
            }
        }
    });
}
