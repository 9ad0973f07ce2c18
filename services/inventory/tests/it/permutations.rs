//! Reserve, release and their repetitions in whatever sequence, against a model in memory.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
};

use contracts::ids::OrderId;
use futures::future::join_all;
use inventory::{Answer, InventoryError, Line, Refusal, Reserve};
use proptest::{collection::vec, prelude::*, sample::subsequence, test_runner::TestRunner};
use sqlx::PgPool;

/// Products and orders of one case.
const PRODUCTS: usize = 3;
const ORDERS: usize = 4;

#[derive(Debug, Clone, Copy)]
enum Step {
    Reserve(usize),
    Release(usize),
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
    let step = (0..ORDERS, any::<bool>())
        .prop_map(|(order, reserve)| if reserve { Step::Reserve(order) } else { Step::Release(order) });
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
}

/// What inventory promises, in a dozen lines.
struct Model {
    available: Vec<i64>,
    orders: HashMap<usize, Word>,
}

impl Model {
    fn step(&mut self, case: &Case, step: Step) -> Word {
        match step {
            Step::Reserve(order) => *self.orders.entry(order).or_insert_with(|| {
                let wants = &case.wants[order];
                if wants.iter().any(|&(product, pieces)| self.available[product] < i64::from(pieces)) {
                    return Word::OutOfStock;
                }
                for &(product, pieces) in wants {
                    self.available[product] -= i64::from(pieces);
                }
                Word::Held
            }),
            Step::Release(order) => {
                let word = self.orders.entry(order).or_insert(Word::Released);
                if *word == Word::Held {
                    *word = Word::Released;
                    for &(product, pieces) in &case.wants[order] {
                        self.available[product] += i64::from(pieces);
                    }
                }
                Word::Released
            }
        }
    }
}

/// A case played in the database, with products and orders of its own.
struct Play<'a> {
    pool: &'a PgPool,
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
        Self { pool, case, skus, orders: (0..ORDERS).map(|_| OrderId::new()).collect() }
    }

    async fn step(&self, step: Step) -> Result<Word, InventoryError> {
        match step {
            Step::Reserve(order) => {
                let line = |&(product, pieces): &(usize, u32)| Line {
                    sku: self.skus[product].parse().unwrap(),
                    quantity: pieces.try_into().unwrap(),
                };
                let wish = Reserve::new(self.orders[order], self.case.wants[order].iter().map(line).collect())?;
                Ok(match inventory::reserve(self.pool, &wish).await? {
                    Answer::Held(_) => Word::Held,
                    Answer::Refused(Refusal::OutOfStock(_)) => Word::OutOfStock,
                    Answer::Refused(other) => panic!("{other:?}"),
                    Answer::Released => Word::Released,
                })
            }
            Step::Release(order) => {
                inventory::release(self.pool, self.orders[order]).await?;
                Ok(Word::Released)
            }
        }
    }

    /// Available and reserved of each product.
    async fn stock(&self) -> Vec<(i64, i64)> {
        let rows = sqlx::query_as("SELECT available, reserved FROM stock WHERE sku = ANY($1) ORDER BY sku");
        rows.bind(&self.skus).fetch_all(self.pool).await.unwrap()
    }

    /// What the orders that are `Held` hold, subtracted from what there was.
    fn stock_if(&self, words: &[Option<Word>]) -> Vec<(i64, i64)> {
        let mut stock: Vec<(i64, i64)> = self.case.pieces.iter().map(|&pieces| (pieces, 0)).collect();
        for (wants, word) in self.case.wants.iter().zip(words) {
            if *word == Some(Word::Held) {
                for &(product, pieces) in wants {
                    stock[product].0 -= i64::from(pieces);
                    stock[product].1 += i64::from(pieces);
                }
            }
        }
        stock
    }
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
    for_all_cases(64, &async |pool, case| {
        let play = Play::prepare(pool, case).await;
        let mut model = Model { available: case.pieces.clone(), orders: HashMap::new() };
        for &step in &case.steps {
            assert_eq!(play.step(step).await.unwrap(), model.step(case, step), "{step:?}");
        }
        let available: Vec<i64> = play.stock().await.into_iter().map(|(available, _)| available).collect();
        assert_eq!(available, model.available);
    });
}

#[test]
fn any_steps_at_once_leave_the_stock_that_the_answers_tell() {
    for_all_cases(64, &async |pool, case| {
        let play = Play::prepare(pool, case).await;
        let words = join_all(case.steps.iter().map(|&step| play.step(step))).await;
        let words: Vec<Word> = words.into_iter().map(Result::unwrap).collect();
        // asked once more, each order tells how it ended
        let mut ends = [None; ORDERS];
        for (order, end) in ends.iter_mut().enumerate() {
            let asked = |step: &Step| matches!(step, Step::Reserve(of) | Step::Release(of) if *of == order);
            if case.steps.iter().any(asked) {
                *end = Some(play.step(Step::Reserve(order)).await.unwrap());
            }
        }
        for (step, word) in case.steps.iter().zip(&words) {
            if let Step::Reserve(order) = *step {
                // a hold may end in a release; a refusal never changes, and nothing turns into a hold
                let told = (*word, ends[order].unwrap());
                assert!(told.0 == told.1 || told == (Word::Held, Word::Released), "order {order}: {told:?}");
            }
        }
        for step in &case.steps {
            if let Step::Release(order) = *step {
                assert_ne!(ends[order], Some(Word::Held), "order {order} was released");
            }
        }
        assert_eq!(play.stock().await, play.stock_if(&ends));
    });
}
