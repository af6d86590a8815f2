// The console of a supervisor: live calls, alerts, listening in, reports, operations.

import { createApp } from "vue";
import App from "./App.vue";
import { router } from "./router";
import { startSession } from "./state/session";
import "./styles/tokens.css";
import "./styles/base.css";

createApp(App).use(router).mount("#app");
void startSession();
