MODEL (name shop.totals, kind FULL);

SELECT sum(paid) AS total FROM shop.paid
