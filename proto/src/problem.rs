//! Every problem that the platform tells the outside: its word, its HTTP status, its gRPC status, its title.

pub use crate::generated::problem::v1;
use tonic::Code;

macro_rules! problem_codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $http:literal, $grpc:ident, $title:literal;)*) => {
        /// A problem's code. Clients rely on the words; they never change their meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $($(#[$doc])* $name,)*
        }

        impl ProblemCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The kebab-case word that clients see.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The HTTP status that it is answered with.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $http,)* }
            }

            /// The gRPC status that it travels as.
            pub const fn grpc_code(self) -> Code {
                match self { $(Self::$name => Code::$grpc,)* }
            }

            /// A short title, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// The code with this word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$name),)* _ => None }
            }
        }
    };
}

problem_codes! {
    /// The body is not JSON, or the request line or a header cannot be understood.
    Malformed = "malformed", 400, InvalidArgument, "The request cannot be read";
    /// A field, or a parameter of the query, is wrong, missing or unknown.
    Invalid = "invalid", 422, InvalidArgument, "A field of the request is wrong";
    /// No token, or one that is not valid.
    Unauthenticated = "unauthenticated", 401, Unauthenticated, "Who are you?";
    /// Unknown email or wrong password: which of the two is not told.
    WrongCredentials = "wrong-credentials", 401, Unauthenticated, "Email or password is wrong";
    /// The token's roles do not allow it.
    Forbidden = "forbidden", 403, PermissionDenied, "Not allowed";
    /// Another issuer of tokens signs people in: here nobody registers or gets a token.
    SignInElsewhere = "sign-in-elsewhere", 403, PermissionDenied, "People sign in elsewhere";
    /// There is no such thing, or it is someone else's.
    NotFound = "not-found", 404, NotFound, "Not found";
    /// The path is right, the method is not.
    MethodNotAllowed = "method-not-allowed", 405, Unimplemented, "Method not allowed";
    /// Nothing that we can answer with is acceptable to the client.
    NotAcceptable = "not-acceptable", 406, InvalidArgument, "Not acceptable";
    /// The body is too long.
    TooLarge = "too-large", 413, ResourceExhausted, "The request is too large";
    /// The body is not `application/json`.
    UnsupportedMediaType = "unsupported-media-type", 415, InvalidArgument, "Unsupported media type";
    /// The request did not arrive in time.
    RequestTimeout = "request-timeout", 408, DeadlineExceeded, "The request came too slowly";
    /// The email has an account.
    EmailTaken = "email-taken", 409, AlreadyExists, "This email has an account";
    /// There is too little stock for a line.
    OutOfStock = "out-of-stock", 409, FailedPrecondition, "Out of stock";
    /// The card was declined.
    PaymentDeclined = "payment-declined", 402, FailedPrecondition, "The payment was declined";
    /// No product has this SKU.
    UnknownSku = "unknown-sku", 422, FailedPrecondition, "Unknown SKU";
    /// The card network does not know the card.
    UnknownCard = "unknown-card", 422, FailedPrecondition, "Unknown card";
    /// The lines are priced in two currencies.
    MixedCurrencies = "mixed-currencies", 422, FailedPrecondition, "The lines are priced in two currencies";
    /// The order was not decided in its time and was given up; nothing is charged.
    OrderExpired = "order-expired", 409, FailedPrecondition, "The order could not be decided in time";
    /// A cancel came before the order was decided; nothing is charged.
    OrderCancelled = "order-cancelled", 409, FailedPrecondition, "The order was cancelled";
    /// The parcel is on its way: too late to cancel.
    AlreadyDispatched = "already-dispatched", 409, FailedPrecondition, "The parcel is on its way";
    /// The order is rejected, or about to be.
    NotCancellable = "not-cancellable", 409, FailedPrecondition, "The order cannot be cancelled";
    /// The order has no shipment yet, or the shipment's state does not allow the change.
    NotDispatchable = "not-dispatchable", 409, FailedPrecondition, "The shipment cannot be dispatched";
    /// The header Idempotency-Key is missing.
    IdempotencyKeyMissing = "idempotency-key-missing", 400, InvalidArgument, "Idempotency-Key is missing";
    /// The header Idempotency-Key is not 8 to 100 printable ASCII characters.
    IdempotencyKeyMalformed = "idempotency-key-malformed", 400, InvalidArgument, "Idempotency-Key is malformed";
    /// The first request with this key is still being answered.
    IdempotencyKeyInFlight = "idempotency-key-in-flight", 409, Aborted, "The same request is being answered";
    /// The key was used with another body.
    IdempotencyKeyReused = "idempotency-key-reused", 422, InvalidArgument, "Idempotency-Key was used for another request";
    /// Too many requests from this customer or address.
    RateLimited = "rate-limited", 429, ResourceExhausted, "Too many requests";
    /// Something this request needs is away. Trying again is safe.
    Unavailable = "unavailable", 503, Unavailable, "Try again";
    /// The answer did not come in time. Trying again is safe.
    DeadlineExceeded = "deadline-exceeded", 504, DeadlineExceeded, "The answer did not come in time";
    /// A fault of ours.
    Internal = "internal", 500, Internal, "A fault of ours";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_names_one_code() {
        for &code in ProblemCode::ALL {
            assert_eq!(ProblemCode::from_word(code.word()), Some(code));
        }
        assert_eq!(ProblemCode::from_word("no-such-word"), None);
    }
}
