//! Catalogues to begin with. A product that is there already is left as it is: seeding again adds no stock and undoes
//! nothing that an operator has changed since.

use clap::ValueEnum;
use contracts::{
    ids::Sku,
    money::{Currency, Money},
};
use operator_log::{Action, Operator, note_in_tx};
use sqlx::PgPool;
use tracing::info;

use crate::{
    InventoryError,
    product::ProductDetails,
    store::{self, Recorded},
};

/// Products that are put on sale in one transaction.
const PRODUCTS_PER_TRANSACTION: usize = 100;

/// Pieces of what never runs out while one tries things.
const PLENTY: i64 = 1_000_000;

/// What there is in the demo catalogue: SKU, name, price in cents, pieces.
const DEMO: [(&str, &str, i64, i64); 6] = [
    ("last-one", "Signed print, the last one", 4_900, 1),
    ("mug", "Mug", 1_250, PLENTY),
    ("poster", "Poster", 990, PLENTY),
    ("sold-out", "Tote bag", 1_500, 0),
    ("sticker", "Sticker", 250, PLENTY),
    ("tee", "T-shirt", 1_990, PLENTY),
];

/// Products that the bench catalogue adds, named from `sku-0000`.
const BENCH_PRODUCTS: usize = 2_000;

/// Pieces of each of them: more than any bench orders.
const BENCH_PIECES: i64 = 1_000_000_000;

/// A catalogue to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Catalogue {
    /// Six products, of one a single piece and of one none.
    Demo,
    /// The demo catalogue and 2,000 products that never run out.
    Bench,
}

impl Catalogue {
    /// As it is typed.
    const fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Bench => "bench",
        }
    }
}

/// A product with the pieces that there are of it at first.
struct Article {
    details: ProductDetails,
    pieces: i64,
}

impl Article {
    fn new(sku: &str, name: String, cents: i64, pieces: i64) -> Result<Self, InventoryError> {
        let sku: Sku = sku.parse().map_err(InventoryError::in_field("sku"))?;
        let price = Money::new(cents, Currency::EUR).map_err(InventoryError::in_field("price"))?;
        Ok(Self { details: ProductDetails::new(sku, name, price)?, pieces })
    }
}

/// Puts a catalogue on sale.
pub async fn seed(pool: &PgPool, catalogue: Catalogue) -> Result<(), InventoryError> {
    let articles = articles(catalogue)?;
    for chunk in articles.chunks(PRODUCTS_PER_TRANSACTION) {
        let mut tx = pool.begin().await?;
        let mut added = 0;
        // sorted by SKU, as all locks on stock are
        for article in chunk {
            if store::add_product_in_tx(&mut tx, &article.details).await? == Recorded::Now {
                store::add_stock_in_tx(&mut tx, article.details.sku(), article.pieces).await?;
                added += 1;
            }
        }
        if added > 0 {
            let action = Action::new(Operator::CommandLine, "seed", format!("catalogue/{}", catalogue.name()));
            note_in_tx(&mut tx, &action.with("products", added)).await?;
        }
        tx.commit().await?;
    }
    info!(products = articles.len(), "the catalogue is on sale");
    Ok(())
}

/// The articles of a catalogue, sorted by SKU.
fn articles(catalogue: Catalogue) -> Result<Vec<Article>, InventoryError> {
    let demo = DEMO.iter().map(|&(sku, name, cents, pieces)| Article::new(sku, name.to_owned(), cents, pieces));
    let bench = (0..if catalogue == Catalogue::Bench { BENCH_PRODUCTS } else { 0 })
        .map(|number| Article::new(&format!("sku-{number:04}"), format!("Product {number}"), 1_000, BENCH_PIECES));
    let mut articles = demo.chain(bench).collect::<Result<Vec<_>, _>>()?;
    articles.sort_by(|one, other| one.details.sku().cmp(other.details.sku()));
    Ok(articles)
}
