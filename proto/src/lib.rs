//! All that two services must agree on: messages, topics, ids, money, problems. No I/O.
