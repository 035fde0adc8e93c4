// What a client in TypeScript can rely on. Nothing of this runs: `make clients` lets tsc check it beside the generated types.

import type { components, paths } from "../../build/clients/openapi";

type Schemas = components["schemas"];

// Codes are closed sets: a comparison with a number that no order has is an error.
export function isRefunded(order: Schemas["Order"]): boolean {
  // @ts-expect-error there is no bill status 11
  if (order.bill_status === 11) throw new Error("no such status");
  return order.bill_status === 5 && order.order_status === 10;
}

export function mayPay(order: Schemas["Order"]): boolean {
  return order.actions.some((action) => action.name === "pay");
}

// `data.error` tells refusals apart, and with it what they tell.
type Refusal = paths["/api/seller_send_delivery/{order_id}/"]["post"]["responses"][404 | 409 | 422]["content"]["application/json"];

export function whyNotShipped({ data }: Refusal): string[] {
  switch (data.error) {
    case "WRONG_STATE":
      return data.reasons;
    case "MALFORMED":
      return Object.values(data.errors).flat();
    default:
      return [];
  }
}

// An order list without a row is no refusal.
type Bought = paths["/api/buy_order/"]["get"]["responses"][200]["content"]["application/json"];

export function firstTitle({ data }: Bought): string | undefined {
  return data.items[0]?.good.title;
}
