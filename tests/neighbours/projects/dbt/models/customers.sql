select c.customer_id, c.name, sum(o.amount) as spent, sum(p.paid) as paid
from {{ ref('raw_customers') }} c
left join {{ ref('stg_orders') }} o on o.customer_id = c.customer_id
left join {{ source('till', 'payments') }} p on p.order_id = o.order_id
group by c.customer_id, c.name
