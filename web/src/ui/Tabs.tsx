// Tabs within a pane; what is behind them is drawn when it is looked at.
import { type ReactNode, useState } from "react";

export interface Tab {
  id: string;
  label: string;
  show: () => ReactNode;
}

interface TabsProps {
  tabs: Tab[];
  first?: string;
  onTurn?: (id: string) => void;
}

export function Tabs({ tabs, first, onTurn }: TabsProps) {
  const [chosen, setChosen] = useState(first);
  const shown = tabs.find((tab) => tab.id === chosen) ?? tabs[0];
  return (
    <>
      <div className="tabs" role="tablist">
        {tabs.map((tab) => (
          <button
            type="button"
            role="tab"
            key={tab.id}
            className="tab"
            aria-selected={tab === shown}
            onClick={() => {
              setChosen(tab.id);
              onTurn?.(tab.id);
            }}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div role="tabpanel">{shown?.show()}</div>
    </>
  );
}
