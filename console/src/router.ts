// The addresses of the console. They stand behind `#`, so that the server needs to know none of them.

import { createRouter, createWebHashHistory, type RouteRecordRaw } from "vue-router";
import type { Permission } from "./api/shapes";
import Wall from "./views/Wall.vue";

declare module "vue-router" {
  interface RouteMeta {
    /** What one must be allowed to do to see it. */
    needs: Permission;
  }
}

const routes: RouteRecordRaw[] = [
  { path: "/", name: "wall", component: Wall, meta: { needs: "calls" } },
  {
    path: "/calls/:id",
    name: "call",
    component: () => import("./views/Call.vue"),
    meta: { needs: "calls" },
    props: true,
  },
  { path: "/agent", name: "agent", component: () => import("./views/Agent.vue"), meta: { needs: "own" } },
  { path: "/reports", name: "reports", component: () => import("./views/Reports.vue"), meta: { needs: "reports" } },
  {
    path: "/policies",
    name: "policies",
    component: () => import("./views/Policies.vue"),
    meta: { needs: "operate" },
  },
  {
    path: "/libraries",
    name: "libraries",
    component: () => import("./views/Libraries.vue"),
    meta: { needs: "operate" },
  },
  { path: "/users", name: "users", component: () => import("./views/Users.vue"), meta: { needs: "users" } },
  { path: "/audit", name: "audit", component: () => import("./views/Audit.vue"), meta: { needs: "audit" } },
  {
    path: "/operations",
    name: "operations",
    component: () => import("./views/Operations.vue"),
    meta: { needs: "operate" },
  },
  { path: "/:rest(.*)*", redirect: "/" },
];

export const router = createRouter({ history: createWebHashHistory(), routes });
