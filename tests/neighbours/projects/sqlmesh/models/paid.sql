MODEL (name shop.paid, kind FULL);

SELECT order_id::int, paid::numeric FROM till.payments WHERE paid > 0
